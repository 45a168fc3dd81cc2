"""The signs of what only the operator can mend: keys, rights, quotas.

Each entry has its source and date; a vendor's new words are one more line.
"""

from streamapp.llm.providers.refusals.sign import ANY_ERROR, Meaning, Sign

_GITHUB = "https://github.com/"
_ANTHROPIC = "https://docs.claude.com/en/api/errors"
_DIGEST = "https://www.developersdigest.tech/errors/api/anthropic-api"
_ZHIPU = "https://docs.bigmodel.cn/cn/api/api-code"
_BUDGET = _GITHUB + "BerriAI/litellm/issues/14144"
_KEY_EXPIRED = _GITHUB + "SamuelSchmidgall/AgentLaboratory/issues/33"

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
            "https://help.openai.com/en/articles/"
            "6614457-troubleshooting-api-usage-and-spend-limits",
            "2026-11",
            code=code,
        )
        for code in (
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
        )
    ),
    Sign(
        Meaning.QUOTA,
        "OpenAI",
        _GITHUB + "dev-hato/hato-bot/pull/4552",
        "2024-12-08",
        code="insufficient_quota",
    ),
    Sign(
        Meaning.QUOTA,
        "OpenAI",
        _GITHUB + "Decryptu/DecryptGPT/issues/1",
        "2024-01-02",
        phrase="billing hard limit has been reached",
    ),
    Sign(
        Meaning.QUOTA,
        "OpenAI",
        _GITHUB + "RamiAwar/dataline/issues/175",
        "2024-05-31",
        code="billing_not_active",
    ),
    Sign(Meaning.QUOTA, "Anthropic", _DIGEST, "2026-11", code="billing_error"),
    Sign(
        Meaning.QUOTA,
        "Anthropic",
        _DIGEST + "/429-enforced-spend-limit-reached",
        "2026-11",
        code="enforced_spend_limit_reached",
    ),
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
        _GITHUB + "Aider-AI/aider/issues/4851",
        "2026-02-19",
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
    Sign(
        Meaning.QUOTA,
        "Moonshot",
        "https://forum.moonshot.ai/t/429-insufficient-balance/244",
        "2026-11",
        code="exceeded_current_quota_error",
    ),
    Sign(
        Meaning.QUOTA,
        "DashScope",
        _GITHUB + "alibaba/spring-ai-alibaba/issues/1146",
        "2025-06-10",
        code="arrearage",
    ),
    Sign(
        Meaning.QUOTA,
        "SiliconFlow",
        _GITHUB + "FoundationAgents/OpenManus/issues/438",
        "2025-03-11",
        phrase="balance is insufficient",
    ),
    Sign(Meaning.QUOTA, "Zhipu", _GITHUB + "zai-org/GLM-5/issues/148", "2026-09-11", code="1113"),
    *(
        Sign(Meaning.QUOTA, "Zhipu", _ZHIPU, "2026-11", code=code)
        for code in ("1304", "1308", "1309", "1310")
    ),
    Sign(Meaning.QUOTA, "LiteLLM", _BUDGET, "2025-09-01", code="budget_exceeded"),
    Sign(Meaning.QUOTA, "LiteLLM", _BUDGET, "2025-09-01", phrase="budget has been exceeded"),
    Sign(Meaning.QUOTA, "LiteLLM", _BUDGET, "2025-09-01", phrase="crossed budget"),
)

KEY: tuple[Sign, ...] = (
    Sign(
        Meaning.KEY,
        "OpenAI",
        "https://www.skills.sh/openai/openai-developers-for-cursor/openai-api-troubleshooting",
        "2026-11",
        code="invalid_api_key",
    ),
    Sign(
        Meaning.KEY,
        "OpenAI",
        _GITHUB + "continuedev/continue/issues/8209",
        "2025-10-12",
        phrase="your organization must be verified",
    ),
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
    Sign(
        Meaning.KEY,
        "Gemini",
        "https://ai.google.dev/gemini-api/docs/troubleshooting",
        "2026-11",
        phrase="free tier is not available in your country",
    ),
    Sign(
        Meaning.KEY,
        "OpenRouter",
        _GITHUB + "musistudio/claude-code-router/issues/227",
        "2025-07-17",
        phrase="no auth credentials found",
    ),
    *(
        Sign(Meaning.KEY, "Zhipu", _ZHIPU, "2026-11", code=code)
        for code in ("1110", "1111", "1112", "1121")
    ),
    Sign(
        Meaning.KEY,
        "LiteLLM",
        _GITHUB + "BerriAI/litellm/issues/20673",
        "2026-02-07",
        phrase="authentication error, ",
    ),
)
