"""W3C trace context as Kafka headers carry it; read without OpenTelemetry, which is an extra."""

import re
from collections.abc import Mapping, Sequence

#: Names that an answer carries on from its question.
PARENT, STATE, BAGGAGE = "traceparent", "tracestate", "baggage"
NAMES = frozenset({PARENT, STATE, BAGGAGE})

#: Longest values that an answer carries on, together; the W3C has 8,192 bytes for a baggage. An
#: answer that is too large for its topic ends the worker, at each start again.
CARRIED_BYTES = 16_384

_PARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

#: As Kafka clients have them; a name can come twice.
Headers = Mapping[str, bytes] | Sequence[tuple[str, bytes]] | None


def carried(headers: Headers) -> list[tuple[str, bytes]] | None:
    """Return the headers that an answer carries on, without what is too long; None without any."""
    if not headers:
        return None
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    kept, room = [], CARRIED_BYTES
    for name, value in pairs:
        if name in NAMES and value and len(value) <= room:
            kept.append((name, value))
            room -= len(value)
    return kept or None


def as_text(headers: Headers) -> dict[str, str]:
    """Return what of the trace context is text; of equal names the first one."""
    found: dict[str, str] = {}
    for name, value in carried(headers) or ():
        if value.isascii():
            found.setdefault(name, value.decode())
    return found


def trace_id(headers: Headers) -> str | None:
    """Return the trace that the headers name, 32 hexadecimal digits."""
    match = _PARENT.fullmatch(as_text(headers).get(PARENT, "").encode())
    return match[1].decode() if match else None
