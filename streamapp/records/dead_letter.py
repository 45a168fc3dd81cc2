"""The dead letter: the original key and bytes; the reason is in the headers alone."""

from dataclasses import dataclass
from datetime import datetime

from streamapp.errors import Failure, Kind

#: Longest message kept in a header, characters.
MESSAGE_LIMIT = 500


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why one record was not answered.

    Attributes:
        exception: Class name of the failure.
        message: What to change; never a value of the record.
        stage: Where it failed: ``decode``, ``process`` or ``emit``.
        request_id: The record's id, or the default one where it could not be read.
        first_failure: When the record failed for the first time.
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
    ) -> "DeadLetter":
        """Return the dead letter of ``failure`` for the record at that position."""
        return cls(
            kind=failure.kind,
            stage=stage,
            exception=type(failure).__name__,
            message=str(failure)[:MESSAGE_LIMIT],
            topic=topic,
            partition=partition,
            offset=offset,
            attempts=failure.attempts,
            request_id=request_id,
            first_failure=now,
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
            "streamapp.attempts": str(self.attempts),
            "streamapp.request.id": self.request_id,
            "streamapp.first-failure": self.first_failure.isoformat(),
        }
