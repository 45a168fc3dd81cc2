"""The writer of a failed record's dead letter: made, remembered, delivered, counted, logged."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog

from streamapp.errors import Failure, TooLarge
from streamapp.records.dead_letter import DeadLetter, own_headers
from streamapp.records.response import Response
from streamapp.streaming.delivery.emitter import RecordEmitter
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import LedgerEntry, digest
from streamapp.streaming.delivery.record_size import fitted_dead_letter
from streamapp.streaming.flows.outlet import Outlet
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.taken_record import Message
from streamapp.telemetry.frames import origin_of, without_frames

log = structlog.get_logger(__name__)


class OutcomeObserver(Protocol):
    """Hears how records ended, as metrics do."""

    def answered(self, response: Response) -> None:
        """A response was delivered."""
        ...

    def skipped(self) -> None:
        """A flow had nothing to ask for a record."""
        ...

    def replayed(self, *, type: str) -> None:
        """A stored outcome was delivered again."""
        ...

    def dead_lettered(self, dead_letter: DeadLetter, *, type: str | None) -> None:
        """A dead letter was delivered."""
        ...


class DeadLetterWriter:
    """Writes dead letters of one flow.

    Args:
        ledger: Remembers those of records that were run.
        emitter: Delivers them.
        outlet: Of the flow.
        outcomes: Hears of each.
        now: Wall clock, seconds since the epoch.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        emitter: RecordEmitter,
        outlet: Outlet,
        outcomes: OutcomeObserver,
        now: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._emitter = emitter
        self._outlet = outlet
        self._outcomes = outcomes
        self._now = now

    async def write(
        self,
        message: Message,
        lease: Lease,
        failure: Failure,
        *,
        stage: str,
        id: str,
        type: str | None,
        remember: bool = False,
    ) -> None:
        """Explain a failed record; returns after Kafka has its dead letter.

        Args:
            message: The record.
            lease: Of its partition.
            failure: Why it has no answer.
            stage: Where it failed: `decode`, `process` or `emit`.
            id: The record's.
            type: The record's, where it is known.
            remember: Whether the ledger keeps it: the record was run.
        """
        tp = message.tp
        dead_letter = DeadLetter.of(
            failure,
            stage=stage,
            topic=tp.topic,
            partition=tp.partition,
            offset=message.offset,
            request_id=id,
            now=datetime.fromtimestamp(self._now(), UTC),
            headers=message.headers,
        )
        headers = dead_letter.headers()
        if remember:
            entry = LedgerEntry(
                digest=digest(message.value),
                partition=tp.partition,
                offset=message.offset,
                expires_at=self._ledger.expires_at(),
                dead_letter=headers,
                generation=lease.generation,
                input=self._outlet.input_hash,
            )
            await self._ledger.write(id, entry, lease)
        await self.emit(message, lease, headers)
        self._outcomes.dead_lettered(dead_letter, type=type)
        log.error(
            "record.dead_lettered",
            kind=dead_letter.kind.value,
            stage=stage,
            error=dead_letter.exception,
            reason=dead_letter.message,
            topic=tp.topic,
            partition=tp.partition,
            offset=message.offset,
            **origin_of(failure),
        )
        without_frames(failure)

    async def emit(self, message: Message, lease: Lease, headers: dict[str, str]) -> None:
        """Deliver a dead letter that the topic takes; ``headers`` say why it is one."""
        key, value, fitted = fitted_dead_letter(
            message.key, message.value, own=own_headers(message.headers), headers=headers
        )
        try:
            await self._emit_fitted(message, lease, key, value, fitted)
        except TooLarge:
            # The topic takes less than we do: the place of the original is what must be told.
            omitted = {"streamapp.headers": "omitted", "streamapp.value": "omitted"}
            fitted = [(name, text.encode()) for name, text in {**headers, **omitted}.items()]
            await self._emit_fitted(message, lease, key, b"" if key is None else None, fitted)

    async def _emit_fitted(
        self,
        message: Message,
        lease: Lease,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
    ) -> None:
        await self._emitter.emit(
            self._outlet.dead_letters,
            lease,
            key=key,
            value=value,
            partition=self._outlet.dead_letter_partition(message.tp.partition),
            headers=headers,
        )
