"""The signs of a text that a policy refuses.

Each entry has its source and date; a vendor's new words are one more line.
"""

from functools import partial

from streamapp.llm.providers.refusals.sign import ANY_ERROR, Meaning, Sign

_GITHUB = "https://github.com/"
#: LiteLLM's own list of vendors' words.
_LITELLM = (
    _GITHUB + "BerriAI/litellm/blob/002b24d3c092203f8540ded24b892ce6ca1e0a50/"
    "litellm/litellm_core_utils/exception_mapping_utils.py"
)
_OPENROUTER = "https://openrouter.ai/docs/api/reference/errors-and-debugging"
_OPENROUTER_TYPES = "https://openrouter.ai/docs/client-sdks/python/components/apierrortype"
_ZHIPU = "https://docs.bigmodel.cn/cn/api/api-code"
_FILTERED = _GITHUB + "compl-ai/compl-ai/issues/20"

_policy = partial(Sign, Meaning.POLICY, statuses=ANY_ERROR)

POLICY: tuple[Sign, ...] = (
    _policy("OpenAI", _LITELLM, "2026-11-27", code="content_policy_violation"),
    _policy(
        "OpenAI",
        _GITHUB + "openai/codex/issues/38849",
        "2026-08-16",
        phrase="flagged as potentially violating our usage policy",
    ),
    _policy(
        "OpenAI",
        _GITHUB + "RanFeng/clipsketch-ai/issues/6",
        "2026-01-01",
        phrase="rejected as a result of our safety system",
    ),
    _policy("Azure", _FILTERED, "2025-02-27", code="content_filter"),
    _policy("Azure", _FILTERED, "2025-02-27", code="responsibleaipolicyviolation"),
    _policy("Azure", _FILTERED, "2025-02-27", phrase="content management policy"),
    _policy(
        "Anthropic",
        _GITHUB + "anthropics/claude-code/issues/58367",
        "2026-05-12",
        phrase="blocked by content filtering policy",
    ),
    _policy(
        "xAI",
        _GITHUB + "UKGovernmentBEIS/inspect_ai/pull/2267",
        "2025-08-12",
        phrase="content violates usage guidelines",
    ),
    _policy("OpenRouter", _OPENROUTER, "2026-11", phrase="your input was flagged"),
    _policy(
        "DeepSeek",
        _GITHUB + "666ghj/BettaFish/issues/691",
        "2026-06-12",
        phrase="content exists risk",
    ),
    _policy(
        "OpenRouter",
        _OPENROUTER_TYPES,
        "2026-11",
        code="refusal",
        statuses=frozenset({403}),  # a part of a message has the same type
    ),
    _policy(
        "DashScope",
        _GITHUB + "CommandCodeAI/command-code/issues/813",
        "2026-09-07",
        code="data_inspection_failed",
    ),
    _policy(
        "DashScope",
        _GITHUB + "openclaw/openclaw/issues/32622",
        "2026-03-03",
        phrase="datainspectionfailed",
    ),
    _policy("Zhipu", _ZHIPU, "2026-11", code="1301"),
    _policy("LiteLLM", _LITELLM, "2026-11-27", phrase="contentpolicyviolationerror"),
    _policy(
        "LiteLLM",
        _GITHUB + "BerriAI/litellm/issues/8239",
        "2025-02-04",
        phrase="violated guardrail policy",
    ),
)
