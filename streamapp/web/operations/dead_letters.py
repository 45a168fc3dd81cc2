"""The operations on dead letters: the list, and the replay."""

from streamapp.kinds import Kind
from streamapp.streaming.dead_letters.service import NEWEST
from streamapp.web import dead_letters
from streamapp.web.operations.operation import READ, REPLAY, Operation

_TIME = "an age like 30m, 2h or 7d, a time of ISO 8601, or seconds since the epoch"

OPERATIONS = (
    Operation(
        "GET",
        "/v1/dead-letters",
        f"List the newest dead letters, of the last {NEWEST} of each partition",
        dead_letters.DeadLetterList,
        errors=(422, 503, 504),
        query={
            "flow": {"type": "string", "description": "Of this flow; of the requests without it."},
            "kind": {"type": "string", "enum": list(Kind), "description": "Only this kind."},
            "type": {"type": "string", "description": "Only this record type."},
            "id": {"type": "string", "description": "Only this record."},
            "since": {"type": "string", "description": f"Only those since then: {_TIME}."},
            "until": {"type": "string", "description": "Only those before."},
            "q": {"type": "string", "description": "Only what holds this text."},
            "limit": {"type": "integer", "minimum": 1, "maximum": dead_letters.LISTED},
        },
        access=READ,
    ),
    Operation(
        "POST",
        "/v1/dead-letters/replay",
        "Send dead letters' records again, at a rate",
        dead_letters.ReplayResults,
        body=dead_letters.ReplayBody,
        errors=(503, 504),
        access=REPLAY,
    ),
    Operation(
        "POST",
        "/v1/dead-letters/edit",
        "Send a corrected request in the place of one that failed, with its key and headers",
        dead_letters.EditResult,
        body=dead_letters.EditBody,
        errors=(503, 504),
        access=REPLAY,
    ),
)
