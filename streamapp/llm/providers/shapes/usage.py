"""Numbers of tokens as vendors count them."""

from collections.abc import Mapping
from typing import Any

from streamapp.llm.attempt import counted
from streamapp.records.response import NO_USAGE, Usage

#: Of DeepSeek, of Moonshot, and of proxies in front of Anthropic.
_CACHED = frozenset({"prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"})


def count(value: Any) -> int:
    """Return a number of tokens; 0 for what is none."""
    kind = type(value)
    if kind is float and value.is_integer():
        value, kind = int(value), int
    return value if kind is int and value > 0 else 0


def usage_of(
    answer: Mapping[str, Any], *, reasoning_share: float = 0.0, is_read_only: bool = False
) -> Usage:
    """Read the usage of an answer in OpenAI's shape; `NO_USAGE` where there is none.

    A total that exceeds its parts is believed: some vendors count reasoning only in it.

    Args:
        answer: With ``usage``, with Groq's ``x_groq``, or with Moonshot's in a choice.
        reasoning_share: The part of the written text that was reasoning, in [0, 1], for vendors
            that do not say how many tokens it had.
        is_read_only: Whether nothing was written, as for vectors: the total was read.
    """
    usage = counts_in(answer)
    if usage is None:
        return NO_USAGE
    read = count(usage.get("prompt_tokens")) or count(usage.get("input_tokens"))
    written = count(usage.get("completion_tokens")) or count(usage.get("output_tokens"))
    written = max(written, count(usage.get("total_tokens")) - read)
    if is_read_only:
        read, written = read + written, 0
    reasoning = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    reasoning = reasoning or count(usage.get("reasoning_tokens"))
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    if not cached and not _CACHED.isdisjoint(usage):
        cached = max(count(usage.get(name)) for name in _CACHED)
    found = Usage(
        input_tokens=read,
        output_tokens=written,
        reasoning_tokens=min(reasoning or round(written * reasoning_share), written),
        cached_input_tokens=min(cached, read),
    )
    return counted(found)


def counts_in(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the numbers of tokens that an answer, or a part of a streamed one, has; None if none.

    Numbers that are all 0 are none: some vendors send such ones with each part.
    """
    usage = answer.get("usage")
    if isinstance(usage, dict) and (usage.get("total_tokens") or usage.get("prompt_tokens")):
        return usage  # as nearly all have it
    choices = answer.get("choices")
    places = [answer, answer.get("x_groq"), *(choices if isinstance(choices, list) else ())]
    for place in places:
        usage = place.get("usage") if isinstance(place, dict) else None
        if isinstance(usage, dict) and any(map(count, usage.values())):
            return usage
    return None


def _detail(usage: Mapping[str, Any], group: str, name: str) -> int:
    details = usage.get(group)
    return count(details.get(name)) if isinstance(details, dict) else 0
