"""The part of the table of signs that a record's author can do nothing about.

Each entry has its source and date; a vendor's new words are one more line.
"""

from streamapp.llm.providers.refusals.sign import ANY_ERROR, CLIENT_ERRORS, Meaning, Sign

_GITHUB = "https://github.com/"
_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_ANTHROPIC = "https://docs.claude.com/en/api/errors"
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


TRANSIENT: tuple[Sign, ...] = (
    _sign(
        Meaning.FAILED,
        "Groq",
        _GITHUB + "thepersonalaicompany/amurex-backend/issues/38",
        "2025-02-11",
        code="json_validate_failed",
    ),
    _sign(
        Meaning.FAILED,
        "Groq",
        _GITHUB + "groq/groq-typescript/issues/28",
        "2024-05-12",
        code="tool_use_failed",
    ),
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
    _sign(
        Meaning.BUSY,
        "Ollama",
        _GITHUB + "ollama/ollama/issues/4159",
        "2024-05-05",
        phrase="maximum pending requests exceeded",
        statuses=ANY_ERROR,
    ),
    _sign(
        Meaning.BUSY,
        "Ollama",
        _GITHUB + "ollama/ollama/issues/15934",
        "2026-05-02",
        phrase="server overloaded, please retry",
        statuses=ANY_ERROR,
    ),
)

QUOTA: tuple[Sign, ...] = (
    _sign(
        Meaning.SHORT,
        "OpenRouter",
        _GITHUB + "can1357/oh-my-pi/issues/9569",
        "2026-08-24",
        phrase="requires more credits, or fewer max_tokens",
    ),
    *(
        _sign(
            Meaning.QUOTA,
            "OpenAI",
            "https://learn.microsoft.com/microsoft-cloud/dev/dev-proxy/concepts/"
            "openai-insufficient-quota",
            "2026-11-27",
            code=code,
        )
        for code in (
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
        )
    ),
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
        _GITHUB + "anthropics/claude-code/issues/38035",
        "2026-03-24",
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
    _sign(
        Meaning.QUOTA,
        "DeepSeek",
        "https://api-docs.deepseek.com/quick_start/error_codes",
        "2026-11",
        phrase="insufficient balance",
    ),
    _sign(
        Meaning.QUOTA,
        "MiniMax",
        _GITHUB + "MiniMax-AI/MiniMax-M2/issues/62",
        "2025-12-23",
        phrase="insufficient balance (1008)",
        statuses=ANY_ERROR,
    ),
    _sign(Meaning.QUOTA, "LiteLLM", _BUDGET, "2025-09-01", code="budget_exceeded"),
    _sign(Meaning.QUOTA, "LiteLLM", _BUDGET, "2025-09-01", phrase="budget has been exceeded"),
    _sign(Meaning.QUOTA, "LiteLLM", _BUDGET, "2025-09-01", phrase="crossed budget"),
)

KEY: tuple[Sign, ...] = (
    _sign(Meaning.KEY, "OpenAI", _OPENAI, "2026-11", code="invalid_api_key"),
    _sign(
        Meaning.KEY,
        "OpenAI",
        _GITHUB + "home-assistant/core/issues/120072",
        "2024-06-21",
        code="unsupported_country_region_territory",
    ),
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
