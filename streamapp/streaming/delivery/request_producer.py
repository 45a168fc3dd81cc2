"""The producer of request records that come over HTTP, and the status of their ids."""

import asyncio
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError

from streamapp.errors import DeliveryFailed, TooLarge
from streamapp.llm.caller import CALLER, HEADER
from streamapp.streaming.broker.topics import RECORD_LIMIT
from streamapp.streaming.delivery.emitter import Send
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import LedgerEntry, digest
from streamapp.streaming.delivery.request_status import (
    PartitionOffset,
    RequestStatus,
    Status,
    merged,
)
from streamapp.streaming.delivery.taken_ids import TakenIds
from streamapp.streaming.window.window import Window

#: Longest wait for the broker to take a record, seconds.
DELIVERY_S = 15.0
#: Ids accepted here that are remembered until their partition is committed past them.
ACCEPTED_LIMIT = 100_000
#: Room for what Kafka adds to key and value, bytes.
FRAME_BYTES = 4_096


class RequestProducer:
    """Writes request records, and tells of those that were accepted, taken or finished here.

    Args:
        topic: Name of the requests' topic.
        send: Of the running producer.
        partitions: How many it has.
        committed: Next offset of each of this worker's partitions.
        steps: Returns the steps so far of a record that runs here.
    """

    def __init__(
        self,
        topic: str,
        send: Send,
        *,
        partitions: int,
        ledger: Ledger,
        window: Window,
        committed: Callable[[], Mapping[int, int]],
        steps: Callable[[str], Sequence[Mapping[str, Any]]] = lambda id: (),
    ) -> None:
        self._steps = steps
        self._topic = topic
        self._send = send
        self._partitions = partitions
        self._ledger = ledger
        self._taken = TakenIds(topic, window)
        self._committed = committed
        self._accepted: dict[str, RequestStatus] = {}

    async def post(self, value: bytes, *, id: str, key: bytes | None) -> None:
        """Write the record, with the name of its caller's key; return once it is there.

        Without a key its id decides the partition, so that the same id comes to the same
        worker, whose ledger knows it.

        Raises:
            TooLarge: A record cannot carry it.
            DeliveryFailed: The broker did not take it in time; it may do so yet.
        """
        if len(value) + len(key or b"") + FRAME_BYTES > RECORD_LIMIT:
            raise TooLarge(f"a record has at most {RECORD_LIMIT - FRAME_BYTES:,} bytes")
        partition = None if key is not None else zlib.crc32(id.encode()) % self._partitions
        caller = CALLER.get()
        headers = [(HEADER, caller.encode())] if caller else None
        accepted = RequestStatus(status=Status.PENDING, digest=digest(value))
        self._accept(id, accepted)
        try:
            async with asyncio.timeout(DELIVERY_S):
                delivery = await self._send(self._topic, key, value, partition, None, headers)
                written = await asyncio.shield(delivery)
        except (KafkaError, ProducerSendError, TimeoutError) as error:
            self._accepted.pop(id, None)
            raise DeliveryFailed("the broker did not take the record in time") from error
        place = PartitionOffset(written.partition, written.offset)
        self._accept(id, replace(accepted, place=place))

    def known(self, id: str) -> RequestStatus:
        """Return what this worker knows; reads memory alone."""
        committed = self._committed()
        entry = self._ledger.lookup(id)
        if entry is not None and entry.answer is not None:
            answered = RequestStatus(status=Status.OK, body=entry.answer, digest=entry.digest)
            return replace(answered, committed=committed)
        taken = self._taken.get(id)
        if taken is not None:  # after a dead letter, too: a later record of the id runs
            return RequestStatus(
                status=Status.PENDING,
                digest=digest(taken),
                committed=committed,
                steps=self._steps(id),
            )
        statuses = [_dead(entry)] if entry is not None else []
        if id in self._accepted:
            statuses.append(self._accepted[id])
        return replace(merged([*statuses, RequestStatus(committed=committed)]), committed=committed)

    def runs(self, id: str) -> bool:
        """Whether this worker has taken the record and not finished it."""
        return self._taken.get(id) is not None

    def _accept(self, id: str, status: RequestStatus) -> None:
        self._accepted.pop(id, None)
        self._accepted[id] = status
        if len(self._accepted) > ACCEPTED_LIMIT:
            del self._accepted[next(iter(self._accepted))]


def _dead(entry: LedgerEntry) -> RequestStatus:
    return RequestStatus(
        status=Status.DEAD,
        kind=(entry.dead_letter or {}).get("streamapp.error.kind"),
        digest=entry.digest,
        place=PartitionOffset(entry.partition, entry.offset),
    )
