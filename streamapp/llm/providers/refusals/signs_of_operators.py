"""The part of the table of signs that a record's author can do nothing about.

Each entry has its source and date; a vendor's new words are one more line.
"""

from streamapp.llm.providers.refusals.sign import CLIENT_ERRORS, Meaning, Sign

_GITHUB = "https://github.com/"
_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_ANTHROPIC = "https://docs.claude.com/en/api/errors"
_GROQ = "https://console.groq.com/docs/errors"
_OPENROUTER = "https://openrouter.ai/docs/api/reference/errors-and-debugging"
_PROXY = "https://docs.litellm.ai/docs/proxy/error_reference"
_BUDGET = _GITHUB + "BerriAI/litellm/issues/14144"
_KEY_EXPIRED = _GITHUB + "SamuelSchmidgall/AgentLaboratory/issues/33"


def _sign(
    meaning: Meaning,
    vendor: str,
    source: str,
    seen: str,
    *,
    code: str = "",
    phrase: str = "",
    statuses: frozenset[int] = CLIENT_ERRORS,
) -> Sign:
    return Sign(
        meaning=meaning,
        vendor=vendor,
        source=source,
        seen=seen,
        code=code,
        phrase=phrase,
        statuses=statuses,
    )


_404 = frozenset({404})

TRANSIENT: tuple[Sign, ...] = (
    _sign(
        Meaning.FAILED,
        "Groq",
        _GITHUB + "thepersonalaicompany/amurex-backend/issues/38",
        "2025-02-11",
        code="json_validate_failed",
    ),
    _sign(Meaning.FAILED, "Groq", _GROQ, "2026-11", code="tool_use_failed"),
    _sign(
        Meaning.BUSY,
        "Mistral",
        _GITHUB + "continuedev/continue/issues/6185",
        "2025-06-18",
        phrase="service tier capacity exceeded",
    ),
    _sign(
        Meaning.BUSY,
        "OpenRouter",
        "https://openrouter.ai/docs/api_reference/errors-and-debugging",
        "2026-11",
        code="openrouter_in_flight_budget",
    ),
    _sign(Meaning.BUSY, "Anthropic", _ANTHROPIC, "2026-11", code="rate_limit_error"),
)

QUOTA: tuple[Sign, ...] = (
    _sign(Meaning.QUOTA, "OpenAI", _OPENAI, "2026-11", code="insufficient_quota"),
    _sign(Meaning.QUOTA, "OpenAI", _OPENAI, "2026-11", code="billing_hard_limit_reached"),
    _sign(Meaning.QUOTA, "OpenAI", _OPENAI, "2026-11", code="billing_not_active"),
    _sign(Meaning.QUOTA, "OpenAI", _OPENAI, "2026-11", code="enforced_spend_limit_reached"),
    _sign(Meaning.QUOTA, "OpenAI", _OPENAI, "2026-11", code="contract_spend_limit_reached"),
    _sign(Meaning.QUOTA, "Anthropic", _ANTHROPIC, "2026-11", code="billing_error"),
    _sign(
        Meaning.QUOTA,
        "Anthropic",
        _GITHUB + "anthropics/claude-code/issues/91322",
        "2026-09-01",
        phrase="credit balance is too low",
    ),
    _sign(
        Meaning.QUOTA,
        "Anthropic",
        "https://docs.claude.com/en/api/rate-limits",
        "2026-11",
        phrase="reached your specified",
    ),
    _sign(
        Meaning.QUOTA,
        "xAI",
        _GITHUB + "continuedev/continue/issues/12670",
        "2026-06-16",
        phrase="any credits or licenses",
    ),
    _sign(
        Meaning.QUOTA,
        "xAI",
        _GITHUB + "NousResearch/hermes-agent/issues/26847",
        "2026-07-15",
        phrase="used all available credits",
    ),
    _sign(
        Meaning.QUOTA,
        "OpenRouter",
        _GITHUB + "Alishahryar1/free-claude-code/issues/772",
        "2026-06-11",
        phrase="insufficient credits",
    ),
    _sign(Meaning.QUOTA, "OpenRouter", _OPENROUTER, "2026-11", phrase="requires more credits"),
    _sign(
        Meaning.QUOTA,
        "DeepSeek",
        "https://api-docs.deepseek.com/quick_start/error_codes",
        "2026-11",
        phrase="insufficient balance",
    ),
    _sign(Meaning.QUOTA, "LiteLLM", _BUDGET, "2025-09-01", code="budget_exceeded"),
    _sign(Meaning.QUOTA, "LiteLLM", _BUDGET, "2025-09-01", phrase="budget has been exceeded"),
    _sign(Meaning.QUOTA, "LiteLLM", _BUDGET, "2025-09-01", phrase="crossed budget"),
)

KEY: tuple[Sign, ...] = (
    _sign(Meaning.KEY, "OpenAI", _OPENAI, "2026-11", code="invalid_api_key"),
    _sign(Meaning.KEY, "OpenAI", _OPENAI, "2026-11", code="unsupported_country_region_territory"),
    _sign(Meaning.KEY, "Anthropic", _ANTHROPIC, "2026-11", code="authentication_error"),
    _sign(
        Meaning.KEY,
        "xAI",
        _GITHUB + "continuedev/continue/issues/11412",
        "2026-03-14",
        phrase="incorrect api key provided",
    ),
    _sign(Meaning.KEY, "Gemini", _KEY_EXPIRED, "2025-01-29", code="api_key_invalid"),
    _sign(Meaning.KEY, "Gemini", _KEY_EXPIRED, "2025-01-29", phrase="api key expired"),
    _sign(Meaning.KEY, "Gemini", _KEY_EXPIRED, "2025-01-29", phrase="api key not valid"),
    _sign(
        Meaning.KEY,
        "Gemini",
        _GITHUB + "PublicAffairs/openai-gemini/issues/4",
        "2024-03-14",
        phrase="user location is not supported",
    ),
    _sign(Meaning.KEY, "OpenRouter", _OPENROUTER, "2026-11", phrase="no auth credentials found"),
    _sign(Meaning.KEY, "LiteLLM", _PROXY, "2026-10", phrase="authentication error, "),
)

MODEL: tuple[Sign, ...] = (
    _sign(Meaning.MODEL, "OpenAI", _OPENAI, "2026-11", code="model_not_found"),
    _sign(
        Meaning.MODEL,
        "Azure",
        _GITHUB + "chatboxai/chatbox/issues/861",
        "2023-07-26",
        code="deploymentnotfound",
    ),
    _sign(
        Meaning.MODEL,
        "Anthropic",
        _ANTHROPIC,
        "2026-11",
        code="not_found_error",
        phrase="model: ",
    ),
    _sign(
        Meaning.MODEL,
        "Gemini",
        _GITHUB + "crystal-autobot/autobot/issues/63",
        "2026-05-02",
        phrase="is not found for api version",
    ),
    _sign(
        Meaning.MODEL,
        "Gemini",
        _GITHUB + "sohzm/cheating-daddy/issues/459",
        "2026-07-23",
        phrase="this model...is no longer available",
    ),
    _sign(
        Meaning.MODEL,
        "Mistral",
        "https://docs.mistral.ai/api",
        "2026-11",
        code="invalid_model",
    ),
    _sign(Meaning.MODEL, "Groq", _GROQ, "2026-11", code="model_decommissioned"),
    _sign(
        Meaning.MODEL,
        "DeepSeek",
        _GITHUB + "deepwn/addi/issues/13",
        "2026-03-30",
        phrase="model not exist",
    ),
    _sign(
        Meaning.MODEL,
        "OpenRouter",
        _GITHUB + "anomalyco/opencode/issues/1558",
        "2025-08-03",
        phrase="no endpoints found for ",
    ),
    _sign(
        Meaning.MODEL,
        "OpenRouter",
        _GITHUB + "OpenRouterTeam/openrouter-examples/issues/74",
        "2026-05-06",
        phrase="is not a valid model id",
    ),
    _sign(
        Meaning.MODEL,
        "vLLM",
        _GITHUB + "Routstr/routstr-core/issues/554",
        "2026-06-17",
        phrase="the model...does not exist",
    ),
    _sign(
        Meaning.MODEL,
        "Ollama",
        _GITHUB + "netease-youdao/QAnything/issues/555",
        "2024-10-23",
        phrase="model...not found",
        statuses=_404,
    ),
    _sign(Meaning.MODEL, "LiteLLM", _PROXY, "2026-10", phrase="invalid model name passed in"),
)

ADDRESS: tuple[Sign, ...] = (
    _sign(Meaning.ADDRESS, "OpenAI", _OPENAI, "2026-11", phrase="invalid url (", statuses=_404),
    _sign(
        Meaning.ADDRESS,
        "vLLM",
        "https://fastapi.tiangolo.com/tutorial/handling-errors/",
        "2026-11",
        code="no such path",
        statuses=_404,
    ),
    _sign(
        Meaning.ADDRESS,
        "Ollama",
        "https://pkg.go.dev/net/http#NotFound",
        "2026-11",
        phrase="404 page not found",
        statuses=_404,
    ),
)
