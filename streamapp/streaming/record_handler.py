"""The handler of one record: decode, look up, answer, remember, emit.

Whatever happens to a record ends here as a response or a dead letter that Kafka has; only a
broker that refuses both, or a lost lease, leaves it unanswered and uncommitted.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Container, Sequence
from functools import cached_property, partial
from typing import Any

import structlog

from streamapp.errors import Failure, InternalError, InvalidRecord, TooLarge
from streamapp.llm.attempt import RIGHT
from streamapp.llm.caller import CALLER, written_by
from streamapp.llm.deadline import Deadline, only_waiting
from streamapp.processors.request_handler import RequestHandler
from streamapp.records.request import Request
from streamapp.streaming.broker.topics import RECORD_LIMIT
from streamapp.streaming.dead_letters.writer import DeadLetterWriter, OutcomeObserver
from streamapp.streaming.delivery.chunks import ChunkStreams
from streamapp.streaming.delivery.emitter import RecordEmitter
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import ENVELOPE_BYTES, LedgerEntry, digest
from streamapp.streaming.delivery.record_size import is_oversize
from streamapp.streaming.delivery.step_store import LedgerSteps
from streamapp.streaming.flows.outlet import OutgoingRecord, Outlet
from streamapp.streaming.known_outcome import known_outcome
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.storing import STORING, Storing
from streamapp.streaming.window.taken_record import Event, Message
from streamapp.telemetry.subject import SUBJECT, Subject

log = structlog.get_logger(__name__)

ID_REUSED = "id: was answered before for a record with other content; use a new id"


class RecordHandler:
    """Brings each record of the window to its outcome.

    Args:
        chunks: For records that are streamed.
        outlet: Of the flow whose records these are: what they are read as, where answers go.
        accepting: Waits while a topic refuses what would be written: nothing is paid meanwhile.
        now: Wall clock, seconds since the epoch.
        clock: Monotonic, seconds.
        refusal: Returns why a record is not run at all; None where it is.
        keys: Names of the configured HTTP keys, whose records are billed to them.
    """

    def __init__(
        self,
        *,
        router: RequestHandler,
        ledger: Ledger,
        emitter: RecordEmitter,
        chunks: ChunkStreams,
        outlet: Outlet,
        outcomes: OutcomeObserver,
        accepting: Callable[[], Awaitable[None]],
        now: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        refusal: Callable[[Message], Failure | None] = lambda message: None,
        keys: Container[str] = (),
    ) -> None:
        self._router = router
        self._ledger = ledger
        self._emitter = emitter
        self._chunks = chunks
        self._outlet = outlet
        self._clock = clock
        self._outcomes = outcomes
        self._accepting = accepting
        self._refusal = refusal
        self._keys = keys
        self._dead_letters = DeadLetterWriter(
            ledger=ledger, emitter=emitter, outlet=outlet, outcomes=outcomes, now=now
        )
        self._busy: dict[str, asyncio.Future[None] | None] = {}

    async def __call__(self, event: Event, lease: Lease) -> None:
        """Answer or dead-letter the record; returns after Kafka has its outcome.

        Raises:
            DeliveryFailed: The broker took neither response nor dead letter.
            LeaseLost: Another worker owns the partition now.
        """
        RIGHT.set(lease)
        message = event.message
        CALLER.set(written_by(message.headers, self._keys))
        refused = self._refusal(message)
        id = self._outlet.id_of(message)
        try:
            if refused is not None:
                raise refused
            request = await self._read(message)
        except Failure as failure:
            id = self._outlet.own_id(message) or id
            SUBJECT.set(Subject(id, message))
            stage = "decode" if refused is None else "process"
            await self._dead_letters.write(message, lease, failure, stage=stage, id=id, type=None)
            return
        if request is None:
            self._outcomes.skipped()
            return
        id = request.id or id
        SUBJECT.set(Subject(id, message))
        # Records of one id take turns, whatever their keys: the later one finds the answer.
        while id in self._busy:
            turn = self._busy[id] = self._busy[id] or asyncio.get_running_loop().create_future()
            await asyncio.wait([turn])
        self._busy[id] = None
        try:
            await self._answer_once(message, request, id, lease)
        finally:
            if awaited := self._busy.pop(id):
                awaited.set_result(None)

    async def _read(self, message: Message) -> Request | None:
        """Return the request of a record, or None where it is skipped; raises a `Failure`.

        What a flow, a schema or a validator did not think of must not end the worker: it would
        read the same record at each start.
        """
        try:
            if not self._outlet.is_loaded(message):
                with only_waiting():
                    await self._outlet.load(message)
            return self._outlet.decode(message)
        except Failure:
            raise
        except Exception as error:
            raise self._bug(error) from error

    def _outgoing(self, message: Message, answer: bytes) -> list[OutgoingRecord]:
        """Return what is delivered for an answer; raises a `Failure`, as `_read`."""
        try:
            return self._outlet.records(message, answer)
        except Failure:
            raise
        except Exception as error:
            raise self._bug(error) from error

    def _bug(self, error: Exception) -> InternalError:
        return InternalError(f"flow '{self._outlet.name}' raised {type(error).__name__}")

    @cached_property
    def _log(self) -> Any:
        # Bound once: a lazy logger is bound anew for each line, also for one that is not written.
        return log.bind()

    async def _answer_once(self, message: Message, request: Request, id: str, lease: Lease) -> None:
        fingerprint = digest(message.value)
        known = known_outcome(
            self._ledger,
            message,
            id=id,
            is_own_id=request.id is not None,
            digest=fingerprint,
            input=self._outlet.input_hash,
        )
        if known is not None:
            await self._answer_as(known, message, lease, id=id, type=request.type)
            return
        tp = message.tp
        await self._accepting()
        stream = self._chunks.open(message, id, lease) if request.stream else None
        storing = Storing()
        STORING.set(storing)
        steps = LedgerSteps(
            self._ledger,
            lease,
            id=id,
            digest=fingerprint,
            partition=tp.partition,
            offset=message.offset,
            storing=storing,
        )
        try:
            answered = await self._router.answer(
                request,
                id=id,
                key=message.key,
                deadline=self._deadline(),
                chunks=stream,
                store=steps,
            )
            response = answered.response
            answer = response.encode()
            _check_size(message.key, len(answer))
            records = self._outgoing(message, answer)
        except Failure as failure:
            with storing:
                if stream is not None:
                    await stream.fail(failure)
                await self._dead_letters.write(
                    message,
                    lease,
                    failure,
                    stage="process",
                    id=id,
                    type=request.type,
                    remember=True,
                )
            steps.forget(is_dead=True)
            return
        entry = LedgerEntry(
            digest=fingerprint,
            partition=tp.partition,
            offset=message.offset,
            expires_at=self._ledger.expires_at(),
            answer=answer,
            fingerprint=answered.fingerprint,
            generation=lease.generation,
            input=self._outlet.input_hash,
        )
        with storing:
            try:
                await self._ledger.write(id, entry, lease)
                if stream is not None:
                    await stream.end(response.output)
                await self._emit(records, lease)
            except TooLarge as failure:  # for the topic, whose limit is below ours
                steps.forget(is_dead=True)
                if stream is not None:
                    await stream.fail(failure)
                await self._dead_letters.write(
                    message, lease, failure, stage="emit", id=id, type=request.type, remember=True
                )
                return
        steps.forget(is_dead=False)  # not before: a refused answer leaves those of its duplicates
        self._outcomes.answered(response)
        self._log.debug(
            "record.answered",
            id=id,
            type=request.type,
            provider=response.provider,
            model=response.model,
            cached=response.cached,
            duration_s=round(response.duration_s, 2),
        )

    def _deadline(self) -> Deadline | None:
        """Return the flow's own deadline; None where it has that of the worker."""
        limit_s = self._outlet.bounds.deadline_s
        return None if limit_s is None else Deadline(limit_s, self._clock)

    async def _answer_as(
        self, known: LedgerEntry, message: Message, lease: Lease, *, id: str, type: str
    ) -> None:
        """End a record as the ledger knows it."""
        write = partial(self._dead_letters.write, message, lease, id=id, type=type)
        if known.answer is None:
            await self._dead_letters.emit(message, lease, known.dead_letter or {})
        elif known.digest != digest(message.value):
            await write(InvalidRecord(ID_REUSED), stage="decode")
            return
        else:
            try:
                await self._emit(self._outgoing(message, known.answer), lease)
            except Failure as failure:  # the flow was changed, or the topic takes less
                await write(failure, stage="emit")
                return
        self._outcomes.replayed(type=type)

    async def _emit(self, records: Sequence[OutgoingRecord], lease: Lease) -> None:
        for record in records:
            await self._emitter.emit(
                record.topic,
                lease,
                key=record.key,
                value=record.value,
                partition=record.partition,
                headers=record.headers,
            )


def _check_size(key: bytes | None, size: int) -> None:
    if is_oversize(key, size + ENVELOPE_BYTES):
        raise TooLarge(
            f"the answer has {size:,} bytes, more than a record of {RECORD_LIMIT:,} bytes"
            " can carry; ask for a shorter one"
        )
