"""The headers of what a flow writes: who answered and at what cost, and the source's own."""

from streamapp.flows.replies import CORRELATION_ID, REPLY_TO
from streamapp.flows.source_record import SourceRecord
from streamapp.records.dead_letter import own_headers
from streamapp.records.response import Response

ID, PART, MODEL, COST, PROMPT, MISSING_TOOLS = (
    "streamapp-id",
    "streamapp-part",
    "streamapp-model",
    "streamapp-cost-usd",
    "streamapp-prompt",
    "streamapp-missing-tools",
)
#: Set anew by each flow of a chain.
OURS = frozenset({ID, PART, MODEL, COST, PROMPT, MISSING_TOOLS})

#: Of the source's own headers, names and values together, bytes: a record must not outgrow its
#: topic by what it only carries on.
CARRIED_BYTES = 16_384


def headers_of(
    record: SourceRecord, response: Response, *, part: int = 0, is_reply: bool = False
) -> list[tuple[str, bytes]]:
    """Return the source's own headers, without what is too long, and ours.

    Of several records for one, the first has the cost, so that a sum over all is what was billed.
    A reply is at the end of its way: it names no topic of replies, and rather leaves out any
    other header than that by which it is known.
    """
    kept, room, own = [], CARRIED_BYTES, own_headers(record.headers)
    left_out = OURS | {REPLY_TO} if is_reply else OURS
    if is_reply:
        own.sort(key=lambda pair: pair[0] != CORRELATION_ID)
    for name, value in own:
        size = len(name.encode()) + len(value or b"")
        if name not in left_out and size <= room:
            kept.append((name, value))
            room -= size
    ours = {ID: response.id}
    if part:
        ours[PART] = str(part)
    if response.provider:  # without a call nobody answered
        ours[MODEL] = response.model
    if response.cost_usd is not None:
        ours[COST] = "0" if part else format(response.cost_usd, "f")
    if response.prompt is not None:
        ours[PROMPT] = f"{response.prompt.name}:{response.prompt.version}"
    if response.missing_tools:
        ours[MISSING_TOOLS] = ", ".join(response.missing_tools)
    return [*kept, *((name, text.encode()) for name, text in ours.items())]


def chained_id(record: SourceRecord) -> str | None:
    """Return the id of a record that a flow wrote: that of the record which it answers.

    Should the flow write it twice, since a crash kept it from committing, it has one id; where
    it made several of one record, each has a number besides.
    """
    found = record.header_texts
    id, part = found.get(ID), found.get(PART)
    return f"{id}.{part}" if id and part else id
