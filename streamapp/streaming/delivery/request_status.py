"""The status of a request's id, as workers tell it to one another in headers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Self

import orjson


class Status(IntEnum):
    """How far a request is; of several workers' words the highest counts."""

    UNKNOWN = 0
    PENDING = 1
    DEAD = 2
    OK = 3


@dataclass(frozen=True, slots=True)
class PartitionOffset:
    """Where a record was written."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStatus:
    """One worker's knowledge of one id.

    Attributes:
        body: The response record, as it was emitted; empty unless the status is OK.
        kind: Why it is dead; None otherwise.
        digest: Hash of the record's bytes; None where an earlier version does not tell it.
        place: Where a dead record stood, or a pending one that came over HTTP was written.
        committed: Next offset of each partition of that worker.
        steps: Of a record that runs: its last steps so far.
    """

    status: Status = Status.UNKNOWN
    body: bytes = b""
    kind: str | None = None
    digest: str | None = None
    place: PartitionOffset | None = None
    committed: Mapping[int, int] = field(default_factory=dict)
    steps: Sequence[Mapping[str, Any]] = ()

    def is_before(self, other: "RequestStatus") -> bool:
        """Whether the other's record was written after this one, to the same partition."""
        mine, place = self.place, other.place
        if mine is None or place is None:
            return False
        return mine.partition == place.partition and mine.offset < place.offset

    def headers(self) -> dict[str, str]:
        """Return what another worker is told beside the body."""
        fields: dict[str, Any] = {
            "status": self.status.name,
            "kind": self.kind,
            "digest": self.digest,
            "place": [self.place.partition, self.place.offset] if self.place else None,
            "committed": sorted(self.committed.items()),
        }
        return {HEADER: orjson.dumps(fields).decode()}

    @classmethod
    def of(cls, headers: Mapping[str, str], body: bytes) -> Self:
        """Return what another worker told.

        Raises:
            ValueError: It is no worker of this kind.
        """
        try:
            fields = orjson.loads(headers[HEADER])
            status = Status[fields["status"]]
            return cls(
                status=status,
                body=body if status is Status.OK else b"",
                kind=fields["kind"],
                digest=fields["digest"],
                place=PartitionOffset(*fields["place"]) if fields["place"] else None,
                committed=dict(fields["committed"]),
                steps=orjson.loads(body or b"{}").get("steps", ()) if status is _PENDING else (),
            )
        except (AttributeError, LookupError, TypeError) as error:
            raise ValueError("no answer of a worker") from error


_PENDING = Status.PENDING

#: Carries what the body does not say; only workers send it to one another.
HEADER = "Streamapp-Known"


def merged(statuses: Iterable[RequestStatus]) -> RequestStatus:
    """Return what all workers together know.

    A record that waits where its partition was already committed past it is finished, and
    forgotten by the ledger: unknown. A dead one that was sent again is pending.
    """
    statuses = list(statuses)
    committed: dict[int, int] = {}
    for status in statuses:
        for partition, offset in status.committed.items():
            committed[partition] = max(offset, committed.get(partition, 0))
    waiting = [
        status
        for status in statuses
        if status.status is Status.PENDING
        and not (status.place and committed.get(status.place.partition, 0) > status.place.offset)
    ]
    finished = [
        status
        for status in statuses
        if status.status is Status.OK
        or (status.status is Status.DEAD and not any(map(status.is_before, waiting)))
    ]
    return max(
        [*waiting, *finished],
        key=lambda status: (status.status, len(status.steps)),
        default=RequestStatus(),
    )
