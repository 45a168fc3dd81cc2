"""The headers of what a flow writes: who answered and at what cost, and the source's own."""

from streamapp.flows.source_record import SourceRecord
from streamapp.records.dead_letter import own_headers
from streamapp.records.response import Response

ID, MODEL, COST, PROMPT = (
    "streamapp-id",
    "streamapp-model",
    "streamapp-cost-usd",
    "streamapp-prompt",
)
#: Set anew by each flow of a chain.
OURS = frozenset({ID, MODEL, COST, PROMPT})

#: Of the source's own headers, names and values together, bytes: a record must not outgrow its
#: topic by what it only carries on.
CARRIED_BYTES = 16_384


def headers_of(record: SourceRecord, response: Response) -> list[tuple[str, bytes]]:
    """Return the source's own headers, without what is too long, and ours."""
    kept, room = [], CARRIED_BYTES
    for name, value in own_headers(record.headers):
        size = len(name.encode()) + len(value or b"")
        if name not in OURS and size <= room:
            kept.append((name, value))
            room -= size
    ours = {ID: response.id, MODEL: response.model}
    if response.cost_usd is not None:
        ours[COST] = format(response.cost_usd, "f")
    if response.prompt is not None:
        ours[PROMPT] = f"{response.prompt.name}:{response.prompt.version}"
    return [*kept, *((name, text.encode()) for name, text in ours.items())]
