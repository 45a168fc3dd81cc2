"""Dead letters: looking at them, and sending them again."""

from streamapp.web import dead_letters
from streamapp.web.operations.operation import Operation

OPERATIONS = (
    Operation(
        "GET",
        "/v1/dead-letters",
        "List the newest dead letters",
        dead_letters.DeadLetterList,
        errors=(422, 503, 504),
        query={
            "kind": {"type": "string", "description": "Only this kind."},
            "type": {"type": "string", "description": "Only this record type."},
            "id": {"type": "string", "description": "Only this record."},
            "q": {"type": "string", "description": "Only what holds this text."},
            "limit": {"type": "integer", "minimum": 1, "maximum": dead_letters.LISTED},
        },
    ),
    Operation(
        "POST",
        "/v1/dead-letters/replay",
        "Send dead letters' records again, at a rate",
        dead_letters.ReplayResults,
        body=dead_letters.Replay,
        errors=(503, 504),
    ),
)
