"""W3C trace context as Kafka headers carry it; read without OpenTelemetry, which is an extra."""

import re
from collections.abc import Mapping, Sequence

#: Names that an answer carries on from its question.
PARENT, STATE, BAGGAGE = "traceparent", "tracestate", "baggage"
NAMES = frozenset({PARENT, STATE, BAGGAGE})
_PARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

#: As Kafka clients have them; a name can come twice.
Headers = Mapping[str, bytes] | Sequence[tuple[str, bytes]] | None


def carried(headers: Headers) -> list[tuple[str, bytes]] | None:
    """Return the headers that an answer carries on; None without any."""
    if not headers:
        return None
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(name, value) for name, value in pairs if name in NAMES and value] or None


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
