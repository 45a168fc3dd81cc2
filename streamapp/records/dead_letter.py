"""The dead letter: the original key and bytes; the reason is in the headers alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from streamapp.errors import Failure, Kind

#: Longest message kept in a header, characters.
MESSAGE_LIMIT = 500
#: How the names of our headers begin; all others are the record's own.
OURS = ("streamapp.", "__streams.errors.")
#: What a record that is sent again carries from one dead letter to the next.
REPLAYS, ATTEMPTS = "streamapp.replays", "streamapp.attempts"
FIRST_FAILURE = "streamapp.first-failure"
CARRIED = (REPLAYS, ATTEMPTS, FIRST_FAILURE)

#: As Kafka clients have them; a name can come twice.
Headers = Mapping[str, bytes] | Sequence[tuple[str, bytes]] | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a record says of its earlier failures; nothing for one that was never sent again."""

    replays: int = 0
    attempts: int = 0
    first_failure: datetime | None = None

    @classmethod
    def of(cls, headers: Headers) -> "Earlier":
        """Read the headers; what makes no sense there counts as nothing."""
        found = {name: value for name, value in pairs(headers) if name in CARRIED}
        return cls(
            replays=number(found.get(REPLAYS)),
            attempts=number(found.get(ATTEMPTS)),
            first_failure=_time(found.get(FIRST_FAILURE)),
        )


def pairs(headers: Headers) -> list[tuple[str, bytes]]:
    """Return the headers as pairs, in their order."""
    return list(headers.items() if isinstance(headers, Mapping) else headers or ())


def own_headers(headers: Headers) -> list[tuple[str, bytes]]:
    """Return the headers that the record's producer gave it."""
    return [pair for pair in pairs(headers) if not pair[0].startswith(OURS)]


def number(text: bytes | None) -> int:
    """Return the count in a header, or 0 where there is none."""
    return int(text) if text and len(text) < 10 and text.isdigit() else 0


def _time(text: bytes | None) -> datetime | None:
    try:
        found = datetime.fromisoformat((text or b"").decode("ascii"))
    except ValueError:
        return None
    return found if found.tzinfo else None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why one record was not answered.

    Attributes:
        exception: Class name of the failure.
        message: What to change; never a value of the record.
        stage: Where it failed: ``decode``, ``process`` or ``emit``.
        request_id: The record's id, or the default one where it could not be read.
        attempts: Provider attempts, over all times that the record was sent again.
        first_failure: When the record failed for the first time.
        replays: How often it was sent again.
    """

    kind: Kind
    stage: str
    exception: str
    message: str
    topic: str
    partition: int
    offset: int
    attempts: int
    request_id: str
    first_failure: datetime
    replays: int = 0

    @classmethod
    def of(
        cls,
        failure: Failure,
        *,
        stage: str,
        topic: str,
        partition: int,
        offset: int,
        request_id: str,
        now: datetime,
        headers: Headers = None,
    ) -> "DeadLetter":
        """Return the dead letter of ``failure`` for the record at that place, with its headers."""
        earlier = Earlier.of(headers)
        return cls(
            kind=failure.kind,
            stage=stage,
            exception=type(failure).__name__,
            message=str(failure)[:MESSAGE_LIMIT],
            topic=topic,
            partition=partition,
            offset=offset,
            attempts=failure.attempts + earlier.attempts,
            request_id=request_id,
            first_failure=earlier.first_failure or now,
            replays=earlier.replays,
        )

    def headers(self) -> dict[str, str]:
        """Return the headers: Kafka Streams' names (KIP-1034) and our own."""
        return {
            "__streams.errors.exception": self.exception,
            "__streams.errors.message": self.message,
            "__streams.errors.topic": self.topic,
            "__streams.errors.partition": str(self.partition),
            "__streams.errors.offset": str(self.offset),
            "streamapp.error.kind": self.kind.value,
            "streamapp.error.stage": self.stage,
            ATTEMPTS: str(self.attempts),
            "streamapp.request.id": self.request_id,
            FIRST_FAILURE: self.first_failure.isoformat(),
            **({REPLAYS: str(self.replays)} if self.replays else {}),
        }
