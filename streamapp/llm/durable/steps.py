"""Durable steps: what the calls of one record gave, stored before it is used.

A redelivered record runs again from its beginning. Its calls are numbered in the order in which
they begin, and a finished one gives its stored result without being made again, as long as the
record asks the same. A step within a step is numbered within it: ``3.1`` is the first of step 3.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from hashlib import blake2b
from typing import Any, TypeVar

import structlog
from pydantic_core import to_json

from streamapp.llm.durable.observer import StepObserver, StepSpans
from streamapp.llm.durable.progress import RecordProgress
from streamapp.llm.durable.stored_step import StepStore, StoredStep
from streamapp.llm.durable.tally import Tally

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Scope:
    """The steps that are numbered together: those of a record, or those within one step.

    Attributes:
        tally: What the calls in it came to.
    """

    __slots__ = ("begun", "owner", "prefix", "replays", "tally")

    def __init__(self, owner: "Steps", prefix: str = "", *, replays: bool) -> None:
        self.owner = owner
        self.prefix = prefix
        self.begun = 0
        self.replays = replays
        self.tally = Tally()

    def next(self) -> str:
        """Return the number of the step that begins."""
        self.begun += 1
        return f"{self.prefix}{self.begun}"


#: The step that runs, where calls are made within one.
_INNER: ContextVar[Scope | None] = ContextVar("step_scope", default=None)


class Steps:
    """The steps of one record, in the order in which they begin.

    Args:
        store: Keeps them; None where nothing is redelivered, as over HTTP.
        observer: Hears of each; None for nobody.
        is_single: Whether the record makes one call and hands its result on as it is. The
            record's own entry is that step, so it is stored only if another one follows.
        spans: Puts each into a span; None where nobody traces.
        progress: Where views read how far the record is; None where nobody does.

    Attributes:
        prompt: The prompt that the record began with; see `StoredStep`.
    """

    def __init__(
        self,
        store: StepStore | None = None,
        *,
        observer: StepObserver | None = None,
        is_single: bool = False,
        spans: StepSpans | None = None,
        progress: RecordProgress | None = None,
    ) -> None:
        self._store = store
        self._observer = observer
        self._is_single = is_single
        self._spans = spans
        self._progress = progress
        self._root = Scope(self, replays=store is not None)
        self._unsaved: Callable[[], Awaitable[None]] | None = None
        self._saving: asyncio.Lock | None = None
        first = store.get("1") if store is not None else None
        self.prompt = first.prompt if first is not None else ""

    @property
    def tally(self) -> Tally:
        """What all calls of the record came to."""
        return self._root.tally

    @property
    def scope(self) -> Scope:
        """Where the next step is numbered."""
        inner = _INNER.get()
        return inner if inner is not None and inner.owner is self else self._root

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
        scope, store = self.scope, self._store
        number = scope.next()
        noted = None if self._progress is None else self._progress.begin(number, kind, name)
        outcome = "failed"
        try:
            stored = None if store is None else self._stored(store, scope, number, fingerprint)
            if stored is not None:
                outcome = "replayed"
                if self._spans is not None:
                    self._spans.replayed(kind, name, number)
                if stored.spent is not None:
                    scope.tally.merge(Tally.decode(stored.spent))
                return decode(stored.result)
            if self._saving is not None:
                await self._save_first()
            # A record of one call has the span of its attempt, which says as much.
            if self._spans is None or (self._is_single and number == "1"):
                result = await self._made(scope, number, kind, fingerprint, make, encode)
            else:
                with self._spans.made(kind, name, number):
                    result = await self._made(scope, number, kind, fingerprint, make, encode)
            outcome = "done"
            return result
        except asyncio.CancelledError:
            outcome = ""  # nobody knows how it would have ended
            raise
        finally:
            if noted is not None:
                noted.end(outcome)
            if outcome and self._observer is not None:
                self._observer.stepped(kind, outcome)

    async def _made(
        self,
        scope: Scope,
        number: str,
        kind: str,
        fingerprint: Callable[[], str],
        make: Callable[[], Awaitable[T]],
        encode: Callable[[T], bytes],
    ) -> T:
        """Return what ``make`` gives, once that is stored."""
        store = self._store
        if store is None:
            return await make()
        if kind == "model":
            result, spent = await make(), None
        else:
            result, spent = await self._within(scope, number, make)

        async def save() -> None:
            step = StoredStep(fingerprint(), self.prompt, encode(result), spent)
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

    async def _within(
        self, scope: Scope, number: str, make: Callable[[], Awaitable[T]]
    ) -> tuple[T, dict[str, Any] | None]:
        """Return what ``make`` gives, and what the calls in it came to."""
        inner = Scope(self, f"{number}.", replays=scope.replays)
        token = _INNER.set(inner)
        try:
            result = await make()
        finally:
            _INNER.reset(token)
            scope.tally.merge(inner.tally)
        return result, inner.tally.encode() if inner.begun else None

    def _stored(
        self, store: StepStore, scope: Scope, number: str, fingerprint: Callable[[], str]
    ) -> StoredStep | None:
        stored = store.get(number) if scope.replays else None
        if stored is None or stored.fingerprint == fingerprint():
            return stored
        # The steps behind it belong to the way that the record took before.
        scope.replays = False
        log.warning("steps.diverged", step=number)
        if self._observer is not None:
            self._observer.diverged()
        return None


def fingerprint_of(*parts: Any) -> str:
    """Return the fingerprint of what a step asks, 32 hexadecimal digits.

    Parts that are no JSON count by their type alone: whoever changes them changes the code.
    """
    text = to_json(parts, fallback=lambda part: type(part).__qualname__)
    return blake2b(text, digest_size=16).hexdigest()
