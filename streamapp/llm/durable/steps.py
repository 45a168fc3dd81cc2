"""Durable steps: what the calls of one record gave, stored before it is used.

A redelivered record runs again from its beginning. Its calls are numbered in the order in which
they begin, and a finished one gives its stored result without being made again, as long as the
record asks the same. A step within a step is numbered within it: ``3.1`` is the first of step 3.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import replace
from threading import get_ident
from typing import Any, TypeVar

import structlog

from streamapp.errors import Failure, InternalError
from streamapp.llm.costs.place import Place
from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.in_progress import STEP, cost_nothing
from streamapp.llm.durable.observer import StepObserver, StepSpans
from streamapp.llm.durable.progress import RecordProgress
from streamapp.llm.durable.scope import Scope, current_task
from streamapp.llm.durable.stored_step import StepStore, StoredStep
from streamapp.llm.durable.tally import Tally

log = structlog.get_logger(__name__)

T = TypeVar("T")


#: Where the task's steps are numbered; None where it is the record's own.
_SCOPE: ContextVar[Scope | None] = ContextVar("step_scope", default=None)


class Steps:
    """The steps of one record, in the order in which they begin.

    Args:
        store: Keeps them; None where nothing is redelivered, as over HTTP.
        deadline: The record's, told which of them are in progress, and without the time that one
            waits to be stored; None for nobody.
        observer: Hears of each; None for nobody.
        is_single: Whether the record makes one call and hands its result on as it is. The
            record's own entry is that step, so it is stored only if another one follows.
        spans: Puts each into a span; None where nobody traces.
        progress: Where views read how far the record is; None where nobody does.

    Attributes:
        prompt: The prompt that the record began with; see `StoredStep`.
        place: The record's one place in the sums of budgets; what it was before a redelivery.
    """

    def __init__(
        self,
        store: StepStore | None = None,
        *,
        deadline: Deadline | None = None,
        observer: StepObserver | None = None,
        is_single: bool = False,
        spans: StepSpans | None = None,
        progress: RecordProgress | None = None,
    ) -> None:
        self._store = store
        self._deadline = deadline or Deadline(0.0, lambda: 0.0)
        self._in_progress = self._deadline.steps
        self._observer = observer
        self._is_single = is_single
        self._spans = spans
        self._progress = progress
        # Not the steps themselves: that would be a cycle, with all that the record's task holds.
        self._mark = object()
        self._root = Scope(self._mark)
        self._unsaved: Callable[[], Awaitable[None]] | None = None
        self._saving: asyncio.Lock | None = None
        self._is_over = False
        self._thread = get_ident()
        self.prompt, self.place = "", Place()
        if store is not None:
            self._go_on(store)

    def _go_on(self, store: StepStore) -> None:
        """Take up what the record began with; any of its steps may be the only one stored."""
        for number, step in enumerate(store.values()):
            if not number:
                self.prompt = step.prompt
            if step.beyond is not None:
                self.place.beyond = step.beyond
                break

    def end(self) -> None:
        """Make no step any more: tasks that the record left behind may ask for some."""
        self._is_over = True
        self._unsaved = None  # it holds these steps, and so all that the record's task does

    def check(self) -> None:
        """Refuse what nobody would count, and what would break what all records share.

        Raises:
            InternalError: The record has ended, or another thread's event loop asks: connections
                and locks are those of the record's own.
        """
        if self._is_over:
            raise InternalError("the record has ended: nobody would count this call")
        if get_ident() != self._thread:
            raise InternalError(
                "the record's client is called from another event loop than the worker's: call it"
                " there, from a thread by asyncio.run_coroutine_threadsafe"
            )

    @property
    def tally(self) -> Tally:
        """What all calls of the record came to."""
        return self._root.tally

    @property
    def scope(self) -> Scope:
        """Where the task's next step is numbered; a task's own begins when it is first asked for.

        Whoever starts tasks that make steps asks for it before.
        """
        found = _SCOPE.get()
        scope = found if found is not None and found.owner is self._mark else self._root
        if scope.task is not current_task():
            scope = scope.of_task()
            _SCOPE.set(scope)
        return scope

    async def run(
        self,
        kind: str,
        fingerprint: Callable[[], str],
        make: Callable[[], Awaitable[T]],
        *,
        encode: Callable[[T], bytes],
        decode: Callable[[bytes], T],
        name: str = "",
    ) -> T:
        """Return the result of the next step: the stored one, or what ``make`` gives.

        Args:
            kind: ``model``, ``step`` or ``tool``.
            fingerprint: Returns that of what is asked; not asked for where nothing is stored.
            make: Makes the call. Steps that begin in it, but for a ``model``'s, are within it.
            encode: Returns its result as JSON.
            decode: Returns the result of a stored one.
            name: Of the route, the tool or the coroutine: never what somebody asks.

        Raises:
            TooLarge: The result does not fit into a record.
            Exception: As of ``make``; a step that failed is not stored.
        """
        self.check()
        scope = self.scope
        number = scope.next()
        progress = self._progress
        noted = None if progress is None else progress.begin(number, kind, name)
        self._in_progress.begin(number)
        outcome = "failed"
        is_free = False
        try:
            path, stored = self._found(scope, number, fingerprint)
            if stored is not None and self._store is not None:
                outcome = "replayed"
                # Tasks beside this one begin their steps now, as they did while it was made.
                await asyncio.sleep(0)
                own = replace(stored, prompt=self.prompt, beyond=self.place.beyond)
                with self._deadline.standing():
                    await self._store.adopt(number, own)
                if self._spans is not None:
                    self._spans.replayed(kind, name, number)
                if stored.spent is not None:
                    scope.tally.merge(Tally.decode(stored.spent))
                return decode(stored.result)
            if self._saving is not None:
                await self._save_first()
            # A record of one call has the span of its attempt, which says as much.
            if self._spans is None or (self._is_single and number == "1"):
                result = await self._made(scope, number, kind, path, make, encode)
            else:
                with self._spans.made(kind, name, number):
                    result = await self._made(scope, number, kind, path, make, encode)
            outcome = "done"
            return result
        except asyncio.CancelledError:
            outcome = ""  # nobody knows how it would have ended
            is_free = kind == "model" and not self._in_progress.is_asked(number)
            raise
        except Failure as failure:
            is_free = cost_nothing(failure)
            raise
        finally:
            if progress is not None and noted is not None:
                progress.end(noted, outcome)
            if number != "1" or self._unsaved is None:
                if outcome in ("done", "replayed") and self._store is not None:
                    self._in_progress.store(number)
                else:
                    self._in_progress.lose(number, is_free=is_free)
            if outcome and self._observer is not None:
                self._observer.stepped(kind, outcome)

    async def _made(
        self,
        scope: Scope,
        number: str,
        kind: str,
        path: Callable[[], str],
        make: Callable[[], Awaitable[T]],
        encode: Callable[[T], bytes],
    ) -> T:
        """Return what ``make`` gives, once that is stored."""
        token = STEP.set(number)
        try:
            if kind == "model":
                result, spent = await make(), None
            elif kind == "step" and self._progress is not None:
                with self._progress.unbounded():
                    result, spent = await self._within(scope, number, path(), make)
            else:
                result, spent = await self._within(scope, number, path(), make)
        finally:
            STEP.reset(token)
        self._in_progress.pay(number)
        store = self._store
        if store is None:
            return result

        async def save() -> None:
            step = StoredStep(path(), self.prompt, encode(result), spent, self.place.beyond)
            # The broker may be away for longer than any record has time.
            with self._deadline.standing():
                await store.put(number, step)

        if self._is_single and number == "1":
            self._unsaved, self._saving = save, asyncio.Lock()
        else:
            await save()
        return result

    async def _save_first(self) -> None:
        """Store the first step, where that was put off; whoever begins meanwhile waits for it."""
        assert self._saving is not None
        async with self._saving:
            if self._unsaved is not None:
                await self._unsaved()
                self._unsaved = None
                self._in_progress.store("1")

    async def _within(
        self, scope: Scope, number: str, path: str, make: Callable[[], Awaitable[T]]
    ) -> tuple[T, dict[str, Any] | None]:
        """Return what ``make`` gives, and what the calls in it came to."""
        inner = scope.within(number, path)
        token = _SCOPE.set(inner)
        try:
            result = await make()
        finally:
            _SCOPE.reset(token)
            scope.tally.merge(inner.tally)
        return result, inner.tally.encode() if inner.begun else None

    def _found(
        self, scope: Scope, number: str, fingerprint: Callable[[], str]
    ) -> tuple[Callable[[], str], StoredStep | None]:
        """Return the fingerprint of a step that begins, and its stored one where it is the same.

        It is taken now: what the step is given may be changed while it runs.
        """
        if self._store is None:
            return str, None
        stored = self._store.get(number)
        if stored is None and self._is_single and number == "1":
            return scope.put_off(fingerprint), None
        path = scope.asked(fingerprint)
        if stored is not None and stored.fingerprint != path:
            stored = None
            if not scope.has_diverged:
                scope.has_diverged = True
                log.warning("steps.diverged", step=number)
                if self._observer is not None:
                    self._observer.diverged()
        return lambda: path, stored
