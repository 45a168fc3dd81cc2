"""The signs of a text that is too long.

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
_OPENROUTER_TYPES = "https://openrouter.ai/docs/client-sdks/python/components/apierrortype"
_ZHIPU = "https://docs.bigmodel.cn/cn/api/api-code"
_QIANFAN = "https://cloud.baidu.com/doc/qianfan-api/s/Om9b4yj3w"
_LLAMA = _GITHUB + "ggml-org/llama.cpp/issues/19774"

_long = partial(Sign, Meaning.TOO_LONG, statuses=ANY_ERROR)

TOO_LONG: tuple[Sign, ...] = (
    _long(
        "OpenAI",
        _GITHUB + "crewAIInc/crewAI-examples/issues/121",
        "2024-06-13",
        code="context_length_exceeded",
    ),
    _long(
        "OpenAI",
        _GITHUB + "gptscript-ai/clio/issues/41",
        "2024-08-08",
        phrase="invalid 'messages[...string too long",
    ),
    _long(
        "OpenAI",
        _GITHUB + "VectorlyApp/bluebox/issues/31",
        "2025-11-05",
        phrase="invalid 'input...string too long",
    ),
    _long(
        "OpenAI",
        _GITHUB + "webtimemachine/wtm2/issues/579",
        "2024-11-04",
        phrase="maximum context length",
    ),
    _long(
        "OpenAI",
        _LITELLM,
        "2026-11-27",
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
    _long("OpenRouter", _OPENROUTER_TYPES, "2026-11", code="string_too_long"),
    _long(
        "Bedrock",
        _GITHUB + "aws-samples/assessment-generator/issues/2",
        "2024-06-15",
        phrase="input is too long for requested model",
    ),
    _long(
        "Gemini",
        _LITELLM,
        "2026-11-27",
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
        _GITHUB + "thepersonalaicompany/amurex-backend/issues/51",
        "2025-03-04",
        phrase="please reduce the length of the messages",
    ),
    _long(
        "Cerebras",
        _GITHUB + "cline/cline/issues/5140",
        "2025-07-24",
        phrase="current length is...while limit is",
    ),
    _long(
        "Moonshot",
        _GITHUB + "MoonshotAI/kimi-cli/issues/2011",
        "2026-04-23",
        phrase="exceeded model token limit",
    ),
    _long(
        "DashScope",
        _GITHUB + "QwenLM/qwen-code/issues/98",
        "2025-07-24",
        phrase="range of input length should be",
    ),
    _long(
        "DashScope",
        _GITHUB + "QwenLM/qwen-code/issues/1082",
        "2025-11-20",
        phrase="string value length...exceeds the maximum allowed",
    ),
    _long("Zhipu", _ZHIPU, "2026-11", code="1261"),
    _long("Qianfan", _QIANFAN, "2025-12-23", code="tokens_too_long"),
    _long("Qianfan", _QIANFAN, "2025-12-23", code="characters_too_long"),
    _long(
        "Volcengine",
        _GITHUB + "langgenius/dify/issues/32221",
        "2026-02-11",
        phrase="input length...exceeds the maximum length",
    ),
    _long(
        "Cohere",
        "https://docs.cohere.com/errors-reference",
        "2026-11",
        phrase="too many tokens: ",
        statuses=frozenset({400, 422}),
    ),
    _long(
        "Together",
        "https://docs.together.ai/docs/error-codes",
        "2026-11",
        phrase="must be less than the context length",
    ),
    _long(
        "vLLM",
        _GITHUB + "vllm-project/vllm/issues/12165",
        "2025-01-17",
        phrase="is too long to fit into the model",
    ),
    _long(
        "vLLM",
        _GITHUB + "vllm-project/vllm/blob/00388f6573ccfcffad607b8c9ecdf341a4669ceb/"
        "vllm/sampling_params.py",
        "2026-11-27",
        phrase="max_tokens must be at least 1, got -",
    ),
    _long(
        "SGLang",
        _GITHUB + "sgl-project/sglang/issues/4048",
        "2025-03-04",
        phrase="exceeds the maximum allowed length",
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
        "llama.cpp",
        _GITHUB + "lemonade-sdk/lemonade/issues/3591",
        "2026-09-15",
        phrase="too large to process...increase the physical batch size",
    ),
    _long(
        "Ollama",
        _GITHUB + "nano-step/nano-brain/issues/208",
        "2026-05-30",
        phrase="exceeds the context length",
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
    _long("LiteLLM", _LITELLM, "2026-11-27", phrase="contextwindowexceedederror"),
)
