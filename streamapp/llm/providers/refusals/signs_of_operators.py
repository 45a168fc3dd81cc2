"""The part of the table of signs that a record's author can do nothing about.

Each entry has its source and date; a vendor's new words are one more line.
"""

from streamapp.llm.providers.refusals.sign import ANY_ERROR, Meaning, Sign

_GITHUB = "https://github.com/"
_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_ANTHROPIC = "https://docs.claude.com/en/api/errors"
_OPENROUTER = "https://openrouter.ai/docs/api/reference/errors-and-debugging"
_PROXY = "https://docs.litellm.ai/docs/proxy/error_reference"
_BUDGET = _GITHUB + "BerriAI/litellm/issues/14144"
_KEY_EXPIRED = _GITHUB + "SamuelSchmidgall/AgentLaboratory/issues/33"

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
        "https://openrouter.ai/docs/api_reference/errors-and-debugging",
        "2026-11",
        code="openrouter_in_flight_budget",
    ),
    Sign(Meaning.BUSY, "Anthropic", _ANTHROPIC, "2026-11", code="rate_limit_error"),
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
)

QUOTA: tuple[Sign, ...] = (
    Sign(
        Meaning.SHORT,
        "OpenRouter",
        _GITHUB + "can1357/oh-my-pi/issues/9569",
        "2026-08-24",
        phrase="requires more credits, or fewer max_tokens",
    ),
    *(
        Sign(
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
    Sign(Meaning.QUOTA, "OpenAI", _OPENAI, "2026-11", code="insufficient_quota"),
    Sign(Meaning.QUOTA, "OpenAI", _OPENAI, "2026-11", code="billing_hard_limit_reached"),
    Sign(Meaning.QUOTA, "OpenAI", _OPENAI, "2026-11", code="billing_not_active"),
    Sign(Meaning.QUOTA, "OpenAI", _OPENAI, "2026-11", code="enforced_spend_limit_reached"),
    Sign(Meaning.QUOTA, "OpenAI", _OPENAI, "2026-11", code="contract_spend_limit_reached"),
    Sign(Meaning.QUOTA, "Anthropic", _ANTHROPIC, "2026-11", code="billing_error"),
    Sign(
        Meaning.QUOTA,
        "Anthropic",
        _GITHUB + "anthropics/claude-code/issues/91322",
        "2026-09-01",
        phrase="credit balance is too low",
    ),
    Sign(
        Meaning.QUOTA,
        "Anthropic",
        _GITHUB + "anthropics/claude-code/issues/38035",
        "2026-03-24",
        phrase="reached your specified",
    ),
    Sign(
        Meaning.QUOTA,
        "xAI",
        _GITHUB + "continuedev/continue/issues/12670",
        "2026-06-16",
        phrase="any credits or licenses",
    ),
    Sign(
        Meaning.QUOTA,
        "xAI",
        _GITHUB + "NousResearch/hermes-agent/issues/26847",
        "2026-07-15",
        phrase="used all available credits",
    ),
    Sign(
        Meaning.QUOTA,
        "OpenRouter",
        _GITHUB + "Alishahryar1/free-claude-code/issues/772",
        "2026-06-11",
        phrase="insufficient credits",
    ),
    Sign(
        Meaning.QUOTA,
        "DeepSeek",
        "https://api-docs.deepseek.com/quick_start/error_codes",
        "2026-11",
        phrase="insufficient balance",
    ),
    Sign(
        Meaning.QUOTA,
        "MiniMax",
        _GITHUB + "MiniMax-AI/MiniMax-M2/issues/62",
        "2025-12-23",
        phrase="insufficient balance (1008)",
        statuses=ANY_ERROR,
    ),
    Sign(Meaning.QUOTA, "LiteLLM", _BUDGET, "2025-09-01", code="budget_exceeded"),
    Sign(Meaning.QUOTA, "LiteLLM", _BUDGET, "2025-09-01", phrase="budget has been exceeded"),
    Sign(Meaning.QUOTA, "LiteLLM", _BUDGET, "2025-09-01", phrase="crossed budget"),
)

KEY: tuple[Sign, ...] = (
    Sign(Meaning.KEY, "OpenAI", _OPENAI, "2026-11", code="invalid_api_key"),
    Sign(
        Meaning.KEY,
        "OpenAI",
        _GITHUB + "home-assistant/core/issues/120072",
        "2024-06-21",
        code="unsupported_country_region_territory",
    ),
    Sign(Meaning.KEY, "Anthropic", _ANTHROPIC, "2026-11", code="authentication_error"),
    Sign(
        Meaning.KEY,
        "xAI",
        _GITHUB + "continuedev/continue/issues/11412",
        "2026-03-14",
        phrase="incorrect api key provided",
    ),
    Sign(Meaning.KEY, "Gemini", _KEY_EXPIRED, "2025-01-29", code="api_key_invalid"),
    Sign(Meaning.KEY, "Gemini", _KEY_EXPIRED, "2025-01-29", phrase="api key expired"),
    Sign(Meaning.KEY, "Gemini", _KEY_EXPIRED, "2025-01-29", phrase="api key not valid"),
    Sign(
        Meaning.KEY,
        "Gemini",
        _GITHUB + "PublicAffairs/openai-gemini/issues/4",
        "2024-03-14",
        phrase="user location is not supported",
    ),
    Sign(Meaning.KEY, "OpenRouter", _OPENROUTER, "2026-11", phrase="no auth credentials found"),
    Sign(Meaning.KEY, "LiteLLM", _PROXY, "2026-10", phrase="authentication error, "),
)
