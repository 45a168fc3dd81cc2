"""The steps of one record in the ledger, each by its number, in the record's partition."""

from collections.abc import Iterable, Iterator

from streamapp.errors import TooLarge
from streamapp.llm.durable.stored_step import StoredStep
from streamapp.streaming.broker.topics import RECORD_LIMIT
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import (
    ENVELOPE_BYTES,
    LedgerEntry,
    shared_name,
    step_name,
)
from streamapp.streaming.delivery.record_size import HEADER_ROOM, is_oversize
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.storing import Storing


class LedgerSteps:
    """Keeps the finished steps of one record until the record itself is finished.

    Args:
        ledger: Of the record's partition.
        lease: The record's right to write.
        id: The record's.
        digest: Hash of its bytes: another record with the id has steps of its own.
        partition: Where it stands.
        offset: Likewise.
        storing: Told of each write.
    """

    def __init__(
        self,
        ledger: Ledger,
        lease: Lease,
        *,
        id: str,
        digest: str,
        partition: int,
        offset: int,
        storing: Storing,
    ) -> None:
        self._storing = storing
        self._ledger = ledger
        self._lease = lease
        self._id = id
        self._digest = digest
        self._partition = partition
        self._offset = offset
        self._is_over = False

    @property
    def limit_bytes(self) -> int:
        """What a step, or the record's answer, may have at most."""
        return RECORD_LIMIT - HEADER_ROOM - ENVELOPE_BYTES

    def get(self, number: str) -> StoredStep | None:
        """Return a finished step, this record's before that of an equal one; or None."""
        return self._stored(self._keys(number))

    def _keys(self, number: str) -> tuple[bytes, ...]:
        name = shared_name(number, self._digest).encode()
        return self._ledger.steps_of(self._id).get(name, ())

    def _has_own(self, keys: Iterable[bytes]) -> bool:
        place = step_name("", self._digest, self._partition, self._offset).encode()
        return any(key.endswith(place) for key in keys)

    def _stored(self, keys: Iterable[bytes]) -> StoredStep | None:
        """Return the step that is kept for this record, or for another one of its content."""
        found: bytes | None = None
        for key in keys:
            entry = self._ledger.current(key)
            if entry is None or entry.digest != self._digest:
                continue
            found = entry.step
            if entry.is_of(self._partition, self._offset):
                break
        return None if found is None else StoredStep.decode(found)

    def values(self) -> Iterator[StoredStep]:
        """Return all finished steps, this record's before those of equal ones; oldest first."""
        of_each = [*self._ledger.steps_of(self._id).values()]
        of_each.sort(key=lambda keys: not self._has_own(keys))
        for keys in of_each:
            if (step := self._stored(keys)) is not None:
                yield step

    async def adopt(self, number: str, step: StoredStep) -> None:
        """Keep a step that was given as this record's own: an equal one's leaves with that.

        Raises:
            TooLarge, LeaseLost, DeliveryFailed: As `put`.
        """
        if not self._has_own(self._keys(number)):
            await self.put(number, step)

    async def put(self, number: str, step: StoredStep) -> None:
        """Keep a finished step; returns when Kafka has it.

        Raises:
            TooLarge: A record cannot carry the result.
            LeaseLost, DeliveryFailed: As `Ledger.write`.
        """
        if self._is_over:
            return  # a task that its record left behind
        value = step.encode()
        if is_oversize(f"{self._id}:{number}".encode(), len(value) + ENVELOPE_BYTES):
            raise TooLarge(f"step {number} gave {len(value):,} bytes, more than a record carries")
        entry = LedgerEntry(
            digest=self._digest,
            partition=self._partition,
            offset=self._offset,
            expires_at=self._ledger.expires_at(),
            step=value,
            generation=self._lease.generation,
        )
        with self._storing:
            await self._ledger.write(self._id, entry, self._lease, step=number)

    def forget(self, *, is_dead: bool) -> None:
        """Let go of the steps that nobody needs any more: the record is finished.

        Of records of one id and content an answer is for all of its partition, with which it comes
        and goes, and a dead letter for its own alone: it may have replayed the steps of another
        one, which is not finished.
        """
        self._is_over = True
        shared = self._digest, self._partition
        for key in [key for keys in self._ledger.steps_of(self._id).values() for key in keys]:
            entry = self._ledger.current(key)
            if (
                entry is None
                or entry.is_of(self._partition, self._offset)
                or (not is_dead and (entry.digest, entry.partition) == shared)
            ):
                self._ledger.forget(key)
