"""Single flight: equal calls in flight share one call."""

import asyncio
from contextvars import copy_context
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from streamapp.errors import Failure, LeaseLost, PartSent, RetriesExhausted
from streamapp.llm.attempt import RIGHT
from streamapp.llm.caching.fingerprint import Fingerprints
from streamapp.llm.caching.joint_deadline import JointDeadline
from streamapp.llm.caching.joint_place import JointPlace
from streamapp.llm.caching.joint_right import JointRight
from streamapp.llm.chunks import CallDelta, ChunkSink, give_whole
from streamapp.llm.completion import Call, Completion
from streamapp.llm.provider import Completer
from streamapp.records import exact_json
from streamapp.records.response import Usage

#: The last deadline ends the call itself and lets it say why; a timer for another comes later.
_GRACE_S = 0.05
_END = ""


class SingleFlight:
    """Lets calls with the fingerprint of one in flight wait for its answer.

    The shared call belongs to all who wait for it: it runs in a task of its own, until the last
    of their deadlines, with the right of any of them, and is cancelled when the last of them
    leaves. The first in line gets the answer with its cost and attempts, the others get it as
    one that was cached. A failure is shared as well. Streamed chunks go to the caller that began;
    the others get one chunk. Where that caller can take no other text the call ends with its
    attempt, and the others ask anew.

    Args:
        provider: What answers. Its cache belongs inside, so that no call falls between the end
            of a shared one and the cache.
        fingerprints: Of the route.
    """

    def __init__(self, provider: Completer, *, fingerprints: Fingerprints) -> None:
        self._provider = provider
        self._fingerprints = fingerprints
        self._flights: dict[str, _Flight] = {}

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``, or wait for an equal one.

        Raises:
            RetriesExhausted: The call's deadline passed while others still wait.
            LeaseLost: Another worker answers the record.
            Failure: As of the provider.
        """
        fingerprint = self._fingerprints.of(call) if call.cache else ""
        if not fingerprint:
            return await self._provider.complete(call)
        while True:
            flight = self._flights.get(fingerprint)
            is_new = flight is None
            if flight is None:
                flight = self._flights[fingerprint] = _Flight(self._provider, call, fingerprint)
            try:
                return await flight.join(call)
            except LeaseLost:
                right = RIGHT.get()
                if is_new or (right is not None and right.is_ended):
                    raise  # else it was refused for others, before this one joined
            except PartSent:
                if call.is_sent:
                    raise  # else it was sent to another caller, and this one may have an answer
            finally:
                if flight.is_over and self._flights.get(fingerprint) is flight:
                    del self._flights[fingerprint]


class _Flight:
    """One shared call and the line of those who wait for it."""

    def __init__(self, provider: Completer, call: Call, fingerprint: str) -> None:
        self._deadline = JointDeadline()
        self._right = JointRight()
        self._relay = _Relay(call.chunks) if call.chunks else None
        self._line: dict[asyncio.Future[Completion], Call] = {}
        shared = call.but(
            deadline=self._deadline,
            place=JointPlace(self._line),
            chunks=self._relay,
            fingerprint=fingerprint,
        )
        self._timers: dict[asyncio.Future[Completion], asyncio.TimerHandle] = {}
        self._has_landed = self._is_paid = False
        context = copy_context()
        # Not that of the first in line alone: it may leave, and others stay.
        context.run(RIGHT.set, self._right)
        self._task = asyncio.create_task(provider.complete(shared), context=context)
        self._task.add_done_callback(self._land)

    @property
    def is_over(self) -> bool:
        """Whether nobody can join any more."""
        return self._task.done() or not self._line

    async def join(self, call: Call) -> Completion:
        """Wait in line for the answer."""
        relay, self._relay = self._relay, None
        place: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._line[place] = call
        self._deadline.add(place, call.deadline)
        self._right.add(place, RIGHT.get())
        if self._has_landed:
            self._deliver(place)
        elif len(self._line) > 1:
            self._watch_new()
        try:
            if relay:
                await relay.pump(place)
            completion = await place
        finally:
            self._leave(place)
        if call.chunks and not relay:
            await give_whole(call.chunks, completion.output, is_cached=True)
        return completion

    def _leave(self, place: asyncio.Future[Completion]) -> None:
        if place.done() and not place.cancelled():
            place.exception()  # was heard, even where its caller was cancelled meanwhile
        if place in self._timers:
            self._timers.pop(place).cancel()
        del self._line[place]
        self._deadline.remove(place)
        self._right.remove(place)
        if not self._line:
            self._task.cancel()

    def _watch_new(self) -> None:
        """Watch those in line whose own deadlines are not watched yet.

        The deadline of a lone caller is that of the call itself.
        """
        for place in reversed(self._line):
            if place in self._timers:
                break
            self._watch(place)

    def _watch(self, place: asyncio.Future[Completion]) -> None:
        """End the wait once its own deadline has passed, whatever the others' allow."""
        left_s = self._line[place].deadline.remaining_s() + _GRACE_S
        if left_s > 0:
            loop = asyncio.get_running_loop()
            self._timers[place] = loop.call_later(max(left_s, _GRACE_S), self._watch, place)
        elif not place.done():
            place.set_exception(RetriesExhausted("no answer in time from an equal call in flight"))

    def _land(self, task: asyncio.Task[Completion]) -> None:
        self._has_landed = True
        if not task.cancelled():
            task.exception()  # was heard, even where nobody waits any more
        for place in self._line:
            self._deliver(place)

    def _deliver(self, place: asyncio.Future[Completion]) -> None:
        if place.done():
            return
        if self._task.cancelled():
            place.cancel()
            return
        error = self._task.exception()
        if error is not None:
            place.set_exception(_shared_error(error) if self._is_paid else error)
        else:
            completion = self._task.result()
            place.set_result(_shared(completion) if self._is_paid else completion)
        self._is_paid = True


@dataclass(frozen=True, slots=True)
class _Begin:
    is_cached: bool


class _Retract:
    pass


class _Relay:
    """Hands chunks over in the leader's own task: what its taker raises is not the others'.

    The queue has no bound, but a provider's answer has.
    """

    def __init__(self, chunks: ChunkSink) -> None:
        self._queue: asyncio.Queue[_Begin | _Retract | str | CallDelta] = asyncio.Queue()
        self._chunks = chunks

    @property
    def is_open(self) -> bool:
        return self._chunks.is_open

    async def begin(self, *, is_cached: bool = False) -> None:
        self._queue.put_nowait(_Begin(is_cached))

    async def add(self, text: str) -> None:
        self._queue.put_nowait(text)
        await asyncio.sleep(0)  # its taker has it before the attempt can end

    async def retract(self) -> None:
        self._queue.put_nowait(_Retract())

    async def add_call(self, delta: CallDelta) -> None:
        self._queue.put_nowait(delta)
        await asyncio.sleep(0)

    async def pump(self, done: asyncio.Future[Completion]) -> None:
        """Give the chunks on until ``done``."""
        done.add_done_callback(lambda _: self._queue.put_nowait(_END))
        chunks = self._chunks
        while (piece := await self._queue.get()) != _END:
            if isinstance(piece, _Begin):
                await chunks.begin(is_cached=piece.is_cached)
            elif isinstance(piece, CallDelta):
                await chunks.add_call(piece)
            elif isinstance(piece, _Retract):
                await chunks.retract()
            else:
                await chunks.add(piece)


def _shared(completion: Completion) -> Completion:
    """Return a completion for one who did not pay, with an output of its own."""
    output: Any = completion.output
    if not isinstance(output, str):
        output = exact_json.loads(exact_json.dumps(output))
    return replace(
        completion,
        output=output,
        usage=Usage(),
        original_usage=completion.original_usage or completion.usage,
        attempts=0,
        cached=True,
        cost_usd=Decimal(0),
        fingerprint="",
    )


def _shared_error(error: BaseException) -> BaseException:
    """Return an error for one who did not pay: each caller adds its own attempts to its own."""
    if not isinstance(error, Failure):
        return error
    copy: Failure = type(error).__new__(type(error), *error.args)
    copy.__dict__.update(error.__dict__)
    copy.__cause__ = error.__cause__
    copy.attempts = 0
    return copy
