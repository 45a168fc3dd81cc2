"""Numbers of tokens as vendors count them."""

from collections.abc import Mapping
from typing import Any

from streamapp.llm.attempt import counted
from streamapp.records.response import NO_USAGE, Usage


def count(value: Any) -> int:
    """Return a number of tokens; 0 for what is none."""
    kind = type(value)
    if kind is float and value.is_integer():
        value, kind = int(value), int
    return value if kind is int and value > 0 else 0


def usage_of(answer: Mapping[str, Any], *, reasoning_share: float = 0.0) -> Usage:
    """Read the usage of an answer in OpenAI's shape; `NO_USAGE` where there is none.

    A total that exceeds its parts is believed: some vendors count reasoning only in it.

    Args:
        answer: With ``usage``, or with Groq's ``x_groq``.
        reasoning_share: The part of the written text that was reasoning, in [0, 1], for vendors
            that do not say how many tokens it had.
    """
    usage = answer.get("usage")
    if not isinstance(usage, Mapping) and isinstance(groq := answer.get("x_groq"), Mapping):
        usage = groq.get("usage")
    if not isinstance(usage, Mapping):
        return NO_USAGE
    read = count(usage.get("prompt_tokens")) or count(usage.get("input_tokens"))
    written = count(usage.get("completion_tokens")) or count(usage.get("output_tokens"))
    written = max(written, count(usage.get("total_tokens")) - read)
    reasoning = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    reasoning = reasoning or count(usage.get("reasoning_tokens"))
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    cached = cached or count(usage.get("prompt_cache_hit_tokens"))
    found = Usage(
        input_tokens=read,
        output_tokens=written,
        reasoning_tokens=min(reasoning or round(written * reasoning_share), written),
        cached_input_tokens=min(cached, read),
    )
    return counted(found)


def _detail(usage: Mapping[str, Any], group: str, name: str) -> int:
    details = usage.get(group)
    return count(details.get(name)) if isinstance(details, Mapping) else 0
