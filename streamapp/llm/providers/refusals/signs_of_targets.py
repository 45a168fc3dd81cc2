"""The signs of a target that is not there: its model, or its address.

Each entry has its source and date; a vendor's new words are one more line.
"""

from streamapp.llm.providers.refusals.sign import Meaning, Sign

_GITHUB = "https://github.com/"
_404 = frozenset({404})

MODEL: tuple[Sign, ...] = (
    Sign(
        Meaning.MODEL,
        "OpenAI",
        _GITHUB + "madox2/vim-ai/issues/124",
        "2024-10-03",
        code="model_not_found",
    ),
    Sign(
        Meaning.MODEL,
        "Azure",
        _GITHUB + "chatboxai/chatbox/issues/861",
        "2023-07-26",
        code="deploymentnotfound",
    ),
    Sign(
        Meaning.MODEL,
        "Azure",
        _GITHUB + "run-llama/llama_index/issues/16503",
        "2024-10-11",
        code="operationnotsupported",
    ),
    Sign(
        Meaning.MODEL,
        "OpenAI",
        _GITHUB + "langbot-app/LangBot/issues/400",
        "2023-04-16",
        phrase="this is not a chat model",
    ),
    Sign(
        Meaning.MODEL,
        "Moonshot",
        _GITHUB + "langgenius/dify/issues/39778",
        "2026-07-30",
        phrase="not found the model",
        statuses=_404,
    ),
    Sign(
        Meaning.MODEL,
        "OpenRouter",
        _GITHUB + "dnakov/anon-kode/issues/13",
        "2025-03-05",
        phrase="no endpoints...data policy",
        statuses=_404,
    ),
    Sign(
        Meaning.MODEL,
        "Anthropic",
        _GITHUB + "browser-use/browser-use/pull/5085",
        "2026-06-26",
        code="not_found_error",
        phrase="model: ",
    ),
    Sign(
        Meaning.MODEL,
        "Gemini",
        _GITHUB + "crystal-autobot/autobot/issues/63",
        "2026-05-02",
        phrase="is not found for api version",
    ),
    Sign(
        Meaning.MODEL,
        "Gemini",
        _GITHUB + "sohzm/cheating-daddy/issues/459",
        "2026-07-23",
        phrase="this model...is no longer available",
    ),
    Sign(
        Meaning.MODEL,
        "Mistral",
        _GITHUB + "tmc/langchaingo/issues/1233",
        "2025-04-23",
        code="invalid_model",
    ),
    Sign(
        Meaning.MODEL,
        "Groq",
        _GITHUB + "atiilla/sqlmap-ai/issues/3",
        "2025-08-21",
        code="model_decommissioned",
    ),
    Sign(
        Meaning.MODEL,
        "DeepSeek",
        _GITHUB + "deepwn/addi/issues/13",
        "2026-03-30",
        phrase="model not exist",
    ),
    Sign(
        Meaning.MODEL,
        "OpenRouter",
        _GITHUB + "anomalyco/opencode/issues/1558",
        "2025-08-03",
        phrase="no endpoints found for ",
    ),
    Sign(
        Meaning.MODEL,
        "OpenRouter",
        _GITHUB + "OpenRouterTeam/openrouter-examples/issues/74",
        "2026-05-06",
        phrase="is not a valid model id",
    ),
    Sign(
        Meaning.MODEL,
        "vLLM",
        _GITHUB + "Routstr/routstr-core/issues/554",
        "2026-06-17",
        phrase="the model...does not exist",
    ),
    Sign(
        Meaning.MODEL,
        "Ollama",
        _GITHUB + "netease-youdao/QAnything/issues/555",
        "2024-10-23",
        phrase="model...not found",
        statuses=_404,
    ),
    Sign(
        Meaning.MODEL,
        "LM Studio",
        _GITHUB + "tinyhumansai/openhuman/issues/4181",
        "2026-06-26",
        phrase="no models loaded",
    ),
    Sign(
        Meaning.MODEL,
        "NVIDIA",
        _GITHUB + "Alishahryar1/free-claude-code/issues/1021",
        "2026-07-08",
        phrase="function...not found for account",
        statuses=_404,
    ),
    Sign(
        Meaning.MODEL,
        "NVIDIA",
        _GITHUB + "tashfeenahmed/freellmapi/issues/634",
        "2026-07-28",
        phrase="the model...has reached its end of life",
    ),
    Sign(
        Meaning.MODEL,
        "Hugging Face",
        _GITHUB + "cline/cline/issues/5098",
        "2025-07-22",
        phrase="is not supported by any provider you have enabled",
    ),
    Sign(
        Meaning.MODEL,
        "Bedrock",
        _GITHUB + "Laisky/one-api/issues/77",
        "2025-05-29",
        phrase="with on-demand throughput isn",
    ),
    *(
        Sign(
            Meaning.MODEL,
            "GitHub",
            _GITHUB + "github/gh-models/issues/65",
            "2025-06-15",
            code=code,
        )
        for code in ("unknown_model", "unavailable_model")
    ),
    Sign(
        Meaning.MODEL,
        "GitHub",
        _GITHUB + "anomalyco/opencode/issues/34048",
        "2026-06-26",
        phrase="the requested model is not supported",
    ),
    Sign(
        Meaning.MODEL,
        "Zhipu",
        "https://docs.bigmodel.cn/cn/api/api-code",
        "2026-11",
        code="1211",
    ),
    Sign(
        Meaning.MODEL,
        "LiteLLM",
        _GITHUB + "BerriAI/litellm/issues/2398",
        "2024-03-08",
        phrase="invalid model name passed in",
    ),
)

ADDRESS: tuple[Sign, ...] = (
    Sign(
        Meaning.ADDRESS,
        "OpenAI",
        _GITHUB + "OpenHands/OpenHands/issues/485",
        "2024-04-01",
        phrase="invalid url (",
        statuses=_404,
    ),
    Sign(
        Meaning.ADDRESS,
        "Azure",
        _GITHUB + "BerriAI/litellm/issues/8572",
        "2025-02-16",
        code="404",
        phrase="resource not found",
        statuses=_404,
    ),
    Sign(
        Meaning.ADDRESS,
        "Mistral",
        _GITHUB + "nextcloud/assistant/issues/593",
        "2026-06-29",
        phrase="no route matched with those values",
        statuses=_404,
    ),
    Sign(
        Meaning.ADDRESS,
        "Groq",
        _GITHUB + "tech-shrimp/deno-api-proxy/issues/3",
        "2025-01-30",
        code="unknown_url",
        statuses=_404,
    ),
    Sign(
        Meaning.ADDRESS,
        "LM Studio",
        _GITHUB + "lmstudio-ai/lmstudio-bug-tracker/issues/618",
        "2025-04-25",
        phrase="unexpected endpoint or method",
    ),
    Sign(
        Meaning.ADDRESS,
        "vLLM",
        _GITHUB + "dyad-sh/dyad/issues/883",
        "2025-08-09",
        code="no such path",
        statuses=_404,
    ),
    Sign(
        Meaning.ADDRESS,
        "Ollama",
        _GITHUB + "idootop/mi-gpt/issues/221",
        "2024-12-19",
        phrase="404 page not found",
        statuses=_404,
    ),
)
