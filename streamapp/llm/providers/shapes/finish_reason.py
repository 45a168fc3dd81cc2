"""Finish reasons of vendors, mapped to OpenAI's names."""

from typing import Any

_STOP = frozenset({"stop", "eos", "eos_token", "stop_sequence", "end_turn", "end", "complete"})
_LENGTH = frozenset({"length", "max_tokens", "model_length", "max_output_tokens"})
#: Servers that write a missing reason as text.
_NONE = frozenset({"null", "none"})
_TOOLS = frozenset({"tool_calls", "tool_use"})
#: Gemini's compatible address passes on its own words in capitals; "sensitive" is Zhipu's.
_FILTERED = frozenset(
    {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii"}
    | {"sensitive", "refusal", "content_filtered", "guardrail_intervened", "image_safety"}
    | {"model_armor", "image_recitation"}
)
#: The generation failed on its way: OpenRouter, DeepSeek, SGLang and vLLM, Gemini.
_FAILED = frozenset(
    {"error", "insufficient_system_resource", "abort", "malformed_function_call"}
    | {"malformed_response", "unexpected_tool_call", "failed"}
)

CONTENT_FILTER = "content_filter"
FAILED = "error"


def finish_reason_of(value: Any) -> str | None:
    """Return a reason by OpenAI's words, an unknown one as it is; None where there is none.

    Sources: https://openrouter.ai/docs/api-reference/errors (``error``),
    https://api-docs.deepseek.com/api/create-chat-completion (``insufficient_system_resource``),
    https://github.com/HKUDS/Vibe-Trading/pull/308 (Gemini's), 2026-06-25,
    https://github.com/Ai00-X/ai00_server/issues/90 (``"null"``), 2024-03-27
    """
    if not isinstance(value, str) or not value or value.lower() in _NONE:
        return None
    word = value.lower()
    kind, _, detail = word.partition(": ")
    if kind == "function_call_filter":  # Gemini: a call that it could not read itself
        word = detail or "malformed_function_call"
    if word in _STOP:
        return "stop"
    if word in _LENGTH:
        return "length"
    if word in _TOOLS:
        return "tool_calls"
    if word in _FILTERED or word.startswith("content_filter"):
        return CONTENT_FILTER
    return FAILED if word in _FAILED else value
