"""The signs of a server that may answer another attempt.

Each entry has its source and date; a vendor's new words are one more line.
"""

from streamapp.llm.providers.refusals.sign import ANY_ERROR, Meaning, Sign

_GITHUB = "https://github.com/"

TRANSIENT: tuple[Sign, ...] = (
    Sign(
        Meaning.FAILED,
        "Groq",
        _GITHUB + "thepersonalaicompany/amurex-backend/issues/38",
        "2025-02-11",
        code="json_validate_failed",
    ),
    Sign(
        Meaning.FAILED,
        "Groq",
        _GITHUB + "groq/groq-typescript/issues/28",
        "2024-05-12",
        code="tool_use_failed",
    ),
    Sign(
        Meaning.BUSY,
        "Mistral",
        _GITHUB + "continuedev/continue/issues/6185",
        "2025-06-18",
        phrase="service tier capacity exceeded",
    ),
    Sign(
        Meaning.BUSY,
        "OpenRouter",
        "https://www.developersdigest.tech/errors/api/openrouter/402-in-flight-budget-exhausted",
        "2026-11",
        code="openrouter_in_flight_budget",
    ),
    Sign(
        Meaning.BUSY,
        "Ollama",
        _GITHUB + "ollama/ollama/issues/4159",
        "2024-05-05",
        phrase="maximum pending requests exceeded",
        statuses=ANY_ERROR,
    ),
    Sign(
        Meaning.BUSY,
        "Ollama",
        _GITHUB + "ollama/ollama/issues/15934",
        "2026-05-02",
        phrase="server overloaded, please retry",
        statuses=ANY_ERROR,
    ),
    Sign(
        Meaning.DOWN,
        "LM Studio",
        _GITHUB + "charmbracelet/crush/issues/2546",
        "2026-04-01",
        phrase="failed to load model",
    ),
    Sign(
        Meaning.DOWN,
        "LM Studio",
        _GITHUB + "lmstudio-ai/lmstudio-bug-tracker/issues/1347",
        "2026-01-01",
        phrase="the model has crashed",
    ),
    Sign(
        Meaning.DOWN,
        "NVIDIA",
        _GITHUB + "decolua/9router/issues/2527",
        "2026-07-10",
        phrase="degraded function cannot be invoked",
    ),
)

#: Looked for last: the same code stands beside limits that no waiting cures.
RATES: tuple[Sign, ...] = (
    Sign(
        Meaning.BUSY,
        "Anthropic",
        "https://docs.claude.com/en/api/errors",
        "2026-11",
        code="rate_limit_error",
    ),
)
