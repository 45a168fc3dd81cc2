"""The part of the table of signs that a record's author can act on: policy and length.

Each entry has its source and date; a vendor's new words are one more line.
"""

from functools import partial

from streamapp.llm.providers.refusals.sign import ANY_ERROR, Meaning, Sign

_GITHUB = "https://github.com/"
_LITELLM = "https://docs.litellm.ai/docs/exception_mapping"
_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_OPENROUTER = "https://openrouter.ai/docs/api/reference/errors-and-debugging"
_FILTERED = _GITHUB + "compl-ai/compl-ai/issues/20"
_LLAMA = _GITHUB + "ggml-org/llama.cpp/issues/19774"

_policy = partial(Sign, Meaning.POLICY, statuses=ANY_ERROR)
_long = partial(Sign, Meaning.TOO_LONG, statuses=ANY_ERROR)

POLICY: tuple[Sign, ...] = (
    _policy("OpenAI", _OPENAI, "2026-11", code="content_policy_violation"),
    _policy(
        "OpenAI",
        _GITHUB + "openai/codex/issues/38849",
        "2026-08-16",
        phrase="flagged as potentially violating our usage policy",
    ),
    _policy(
        "OpenAI",
        "https://portkey.ai/error-library/safety-violation-error-10078",
        "2026-11",
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
    _policy("LiteLLM", _LITELLM, "2026-10-01", phrase="contentpolicyviolationerror"),
)

TOO_LONG: tuple[Sign, ...] = (
    _long("OpenAI", _OPENAI, "2026-11", code="context_length_exceeded"),
    _long(
        "OpenAI",
        _GITHUB + "webtimemachine/wtm2/issues/579",
        "2024-11-04",
        phrase="maximum context length",
    ),
    _long(
        "OpenAI",
        "https://docs.litellm.ai/docs/exception_mapping",
        "2026-10-01",
        phrase="input tokens exceed the configured limit",
    ),
    _long(
        "OpenAI",
        _GITHUB + "Aider-AI/aider/issues/1880",
        "2024-10-02",
        phrase="request too large for",
        statuses=frozenset({413, 429}),
    ),
    _long(
        "Anthropic",
        _GITHUB + "anthropics/claude-code/issues/11281",
        "2025-11-09",
        phrase="prompt is too long",
    ),
    _long(
        "Anthropic",
        _GITHUB + "continuedev/continue/issues/6080",
        "2025-06-11",
        phrase="exceed context limit",
    ),
    _long(
        "Anthropic",
        "https://docs.claude.com/en/api/errors",
        "2026-11",
        code="request_too_large",
    ),
    _long(
        "Anthropic",
        _GITHUB + "anthropics/claude-code/issues/29584",
        "2026-02-28",
        phrase="extra usage is required for long context",
    ),
    _long(
        "OpenRouter",
        _GITHUB + "anomalyco/opencode/issues/12219",
        "2026-05-04",
        phrase="prompt tokens limit exceeded",
    ),
    _long("Bedrock", _LITELLM, "2026-10-01", phrase="input is too long for requested model"),
    _long(
        "Gemini",
        _LITELLM,
        "2026-10-01",
        phrase="exceeds the maximum number of tokens allowed",
    ),
    _long(
        "xAI",
        _GITHUB + "cline/cline/issues/3120",
        "2025-04-25",
        phrase="maximum prompt length is",
    ),
    _long(
        "Groq",
        _GITHUB + "HunorLaczko/ha-groq-cloud-api/issues/27",
        "2026-05-16",
        phrase="please reduce your message size",
    ),
    _long(
        "Groq",
        "https://console.groq.com/docs/errors",
        "2026-11",
        phrase="please reduce the length of the messages",
    ),
    _long("Cerebras", _LITELLM, "2026-10-01", phrase="current length is...while limit is"),
    _long(
        "vLLM",
        _GITHUB + "vllm-project/vllm/issues/12165",
        "2025-01-17",
        phrase="is too long to fit into the model",
    ),
    _long(
        "SGLang",
        _GITHUB + "QwenLM/Qwen3/issues/1321",
        "2025-04-29",
        phrase="longer than the model's context length",
    ),
    _long(
        "TGI",
        _GITHUB + "huggingface/chat-ui/issues/340",
        "2023-07-11",
        phrase="`inputs` tokens + `max_new_tokens` must be",
    ),
    _long(
        "TGI",
        _GITHUB + "huggingface/text-generation-inference/issues/695",
        "2023-07-25",
        phrase="`inputs` must have less than",
    ),
    _long("llama.cpp", _LLAMA, "2026-02-21", code="exceed_context_size_error"),
    _long("llama.cpp", _LLAMA, "2026-02-21", phrase="exceeds the available context size"),
    _long("llama.cpp", _LLAMA, "2026-02-21", phrase="context size has been exceeded"),
    _long(
        "llama.cpp",
        _GITHUB + "abetlen/llama-cpp-python/issues/416",
        "2023-06",
        phrase="exceed context window of",
    ),
    _long(
        "LM Studio",
        _GITHUB + "Gitlawb/openclaude/issues/353",
        "2026-04-04",
        phrase="greater than the context length",
    ),
    _long(
        "LM Studio",
        _GITHUB + "lmstudio-ai/lmstudio-bug-tracker/issues/546",
        "2025-03-24",
        phrase="when context the overflows",
    ),
    _long("LiteLLM", _LITELLM, "2026-10-01", phrase="contextwindowexceedederror"),
)
