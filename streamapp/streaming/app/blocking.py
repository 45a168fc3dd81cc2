"""The watch over records whose own code blocks the event loop: their names, and their end.

A processor that computes for long, or calls what blocks, holds up every record of its worker. If
it also keeps other threads from running (most C code does), no heartbeat is sent, the group goes
on without the worker, and the record comes again: to block again. So each step of a record is
timed, a thread looks where a long one stands, and a record that took longer than the session
twice is not run a third time. Nor is one that never ended its step, and so ended its process.
Time for which the process itself stood still, as one that is frozen, is no record's.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import structlog
from faust.types import TP
from pydantic_core import from_json

from streamapp.errors import InternalError
from streamapp.standstills import Standstills
from streamapp.streaming.app.kept_fences import KeptFences
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.taken_record import Event, Message

log = structlog.get_logger(__name__)

#: A step that takes longer is named, seconds: heartbeats and web views wait for it.
NOTICE_S = 1.0
#: How often the thread looks, seconds.
POLL_INTERVAL_S = 0.5
#: What stands for the place where no thread could look.
UNSEEN = "in C code that kept the interpreter's lock"
_STOOD_STILL = "it was stopped, starved of processor time, or paused with its container"
#: A record that blocked the loop past the session so often is a dead letter when it comes again.
MOST_FENCES = 2
#: Records remembered as blocking ones at most.
MOST_SUSPECTS = 1_000

Run = Callable[[Event, Lease], Coroutine[Any, Any, None]]


class BlockingWatch(threading.Thread):
    """Times every step of every record, and knows which ones blocked the loop.

    Args:
        session_s: How long the group waits for a heartbeat, seconds.
        kept: Counts over restarts what ended the process.
        notice_s: Steps that take longer are named.
        clock: Monotonic seconds.
        standstills: Of the process; noted by this thread.
    """

    def __init__(
        self,
        session_s: float,
        *,
        kept: KeptFences | None = None,
        notice_s: float = NOTICE_S,
        clock: Callable[[], float] = time.monotonic,
        standstills: Standstills | None = None,
    ) -> None:
        super().__init__(name="streamapp-blocking", daemon=True)
        self._session_s = session_s
        self._kept = kept
        self._notice_s = notice_s
        self._clock = clock
        self._standstills = standstills or Standstills(clock)
        self._loop_thread = threading.get_ident()
        self._stopped = threading.Event()
        self._fences: Counter[tuple[TP, int]] = Counter()
        self._step: tuple[Message, float] | None = None
        self._where: tuple[float, str] = (-1.0, "")
        self._places: dict[str, str] = {}
        self._last: tuple[float, str] | None = None

    def watched(self, run: Run) -> Run:
        """Return ``run`` with its steps timed."""

        async def run_watched(event: Event, lease: Lease) -> None:
            await _Steps(run(event, lease), event.message, self)

        return run_watched

    def refusal(self, message: Message) -> InternalError | None:
        """Return why the record is not run any more; None where it is."""
        if not self._fences and not self._kept:
            return None
        ended = self._kept.count(message) if self._kept else 0
        if self._fences[message.tp, message.offset] + ended < MOST_FENCES:
            return None
        return InternalError(
            f"its processor blocked the event loop for longer than {self._session_s:g} s,"
            f" {MOST_FENCES} times; give blocking work to a thread or a process"
        )

    def keep(self) -> None:
        """Remember the record that stands in its step now: the process is ended for it."""
        if (step := self._step) is not None and self._kept is not None:
            self._kept.add(step[0])

    def last(self) -> str:
        """Return what blocked last and how long ago; empty where nothing did."""
        if self._last is None:
            return ""
        at, text = self._last
        return f"{text}, {self._clock() - at:.0f} s ago"

    # -- in the loop's thread

    def begin(self, message: Message) -> float:
        """Note that a step of a record begins; return when."""
        self._loop_thread = threading.get_ident()
        began = self._clock()
        self._step = (message, began)
        return began

    def end(self, message: Message, began: float) -> None:
        """Note that the step has ended."""
        self._step = None
        ended = self._clock()
        took_s = ended - began
        if took_s < self._notice_s:
            return
        took_s -= self._standstills.since(began)
        if took_s < self._notice_s:
            return
        type_ = _type_of(message.value)
        where = self._place(type_, began)
        self._last = (ended, f"blocked for {took_s:.1f} s by a record of type {type_} {where}")
        log.error(
            "loop.blocked",
            type=type_,
            where=where,
            took_s=round(took_s, 2),
            topic=message.tp.topic,
            partition=message.tp.partition,
            offset=message.offset,
            hint="give blocking work to a thread or a process",
        )
        if took_s > self._session_s:
            if len(self._fences) >= MOST_SUSPECTS:
                self._fences.clear()
            self._fences[message.tp, message.offset] += 1

    def _place(self, type_: str, began: float) -> str:
        """Return where the step stood; C code that keeps the interpreter's lock may hide it."""
        if self._where[0] != began:
            return self._places.get(type_, UNSEEN)
        if len(self._places) >= MOST_SUSPECTS:
            self._places.clear()
        self._places[type_] = self._where[1]
        return self._where[1]

    # -- in its own thread

    def run(self) -> None:
        """Look where a long step stands, until stopped."""
        interval_s = min(POLL_INTERVAL_S, self._notice_s / 2)
        slept_at = self._clock()
        self._standstills.sleeps(interval_s)
        while not self._stopped.wait(interval_s):
            late_s = self._clock() - slept_at - interval_s
            self.look(late_s=late_s)
            stood_s = self._standstills.since(slept_at)
            if stood_s >= self._notice_s:
                log.warning("process.stood_still", stood_s=round(stood_s, 2), hint=_STOOD_STILL)
            slept_at = self._clock()
            self._standstills.sleeps(interval_s)

    def look(self, late_s: float = 0.0) -> None:
        """Note where the step stands that runs now, if it is a long one.

        Args:
            late_s: How long this thread was kept from looking, seconds: after a block that let no
                thread run, the step has already gone on, and its place is another one's.
        """
        step = self._step
        if step is None or self._clock() - step[1] < self._notice_s / 2:
            return
        if late_s > self._notice_s / 2:
            return
        frame = sys._current_frames().get(self._loop_thread)
        if frame is not None and self._step is step:
            code = frame.f_code
            where = f"{Path(code.co_filename).name}:{frame.f_lineno} in {code.co_name}"
            self._where = (step[1], where)

    def stop(self) -> None:
        """End the thread soon."""
        self._stopped.set()


class _Steps:
    """Runs a coroutine and times each of its steps."""

    __slots__ = ("_coroutine", "_message", "_watch")

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], message: Message, watch: BlockingWatch
    ) -> None:
        self._coroutine = coroutine
        self._message = message
        self._watch = watch

    def __await__(self) -> Generator[Any, Any, None]:
        coroutine, message, watch = self._coroutine, self._message, self._watch
        error: BaseException | None = None
        while True:
            began = watch.begin(message)
            try:
                awaited = coroutine.send(None) if error is None else coroutine.throw(error)
            except StopIteration:
                return
            finally:
                watch.end(message, began)
            error = None
            try:
                yield awaited
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as thrown:  # the coroutine's own to handle
                error = thrown


def _type_of(value: bytes | None) -> str:
    """Return the type that a record names, as far as it can be told."""
    try:
        named = from_json(value or b"").get("type")
    except (ValueError, AttributeError):
        return "unknown"
    return named[:64] if isinstance(named, str) else "unknown"
