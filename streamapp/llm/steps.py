"""Durable steps: what the calls of one record gave, stored before it is used.

A redelivered record runs again from its beginning. Its calls are numbered in the order in which
they begin, and a finished one gives its stored result without being made again, as long as the
record asks the same.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol, TypeVar

import structlog
from pydantic_core import from_json, to_json

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredStep:
    """One finished step.

    Attributes:
        fingerprint: Of what was asked: another one means that the record's way has changed.
        prompt: The prompt's version that the record began with, ``name:version``; or empty.
        result: JSON.
    """

    fingerprint: str
    prompt: str
    result: bytes

    def encode(self) -> bytes:
        """Return the step as JSON; the result stands in it as it is."""
        head = to_json({"fingerprint": self.fingerprint, "prompt": self.prompt})
        return b'%b,"result":%b}' % (head[:-1], self.result)

    @classmethod
    def decode(cls, value: bytes) -> "StoredStep":
        """Return the step that `encode` wrote."""
        fields: dict[str, Any] = from_json(value)
        result = value[value.index(b'"result":') + len(b'"result":') : -1]
        return cls(fields["fingerprint"], fields["prompt"], result)


class StepStore(Protocol):
    """Keeps the finished steps of one record; see ``streaming/delivery/step_store.py``."""

    def get(self, number: int) -> StoredStep | None:
        """Return a finished step, or None."""
        ...

    async def put(self, number: int, step: StoredStep) -> None:
        """Keep a finished step; returns when it will survive this worker.

        Raises:
            TooLarge: The result does not fit into a record.
        """
        ...


class StepObserver(Protocol):
    """Hears what becomes of steps; metrics implement it."""

    def stepped(self, kind: str, outcome: str) -> None:
        """A step of ``kind`` (``model``, ``step``, ``tool``) is ``done`` or ``replayed``."""
        ...

    def diverged(self) -> None:
        """A redelivered record asked something else than before."""
        ...


class Steps:
    """The steps of one record, in the order in which they begin.

    Args:
        store: Keeps them; None where nothing is redelivered, as over HTTP.
        observer: Hears of each; None for nobody.
        is_single: Whether the record makes one call and hands its result on as it is. The
            record's own entry is that step, so it is stored only if another one follows.
    """

    def __init__(
        self,
        store: StepStore | None = None,
        *,
        observer: StepObserver | None = None,
        is_single: bool = False,
    ) -> None:
        self._store = store
        self._observer = observer
        self._is_single = is_single
        self._begun = 0
        self._replays = store is not None
        self._unsaved: Callable[[], Awaitable[None]] | None = None
        first = store.get(1) if store is not None else None
        self.prompt = first.prompt if first is not None else ""

    @property
    def begun(self) -> int:
        """How many steps have begun."""
        return self._begun

    async def run(
        self,
        kind: str,
        fingerprint: Callable[[], str],
        make: Callable[[], Awaitable[T]],
        *,
        encode: Callable[[T], bytes],
        decode: Callable[[bytes], T],
    ) -> T:
        """Return the result of the next step: the stored one, or what ``make`` gives.

        Args:
            kind: ``model``, ``step`` or ``tool``.
            fingerprint: Returns that of what is asked; not asked for where nothing is stored.
            make: Makes the call.
            encode: Returns its result as JSON.
            decode: Returns the result of a stored one.

        Raises:
            TooLarge: The result does not fit into a record.
            Exception: As of ``make``; a step that failed is not stored.
        """
        self._begun += 1
        number, store = self._begun, self._store
        if store is None:
            return await make()
        stored = self._stored(number, fingerprint)
        if stored is not None:
            self._heard(kind, "replayed")
            return decode(stored.result)
        if self._unsaved is not None:
            save_earlier, self._unsaved = self._unsaved, None
            await save_earlier()
        result = await make()

        async def save() -> None:
            await store.put(number, StoredStep(fingerprint(), self.prompt, encode(result)))

        if self._is_single and self._begun == 1:
            self._unsaved = save
        else:
            await save()
        self._heard(kind, "done")
        return result

    def _stored(self, number: int, fingerprint: Callable[[], str]) -> StoredStep | None:
        stored = self._store.get(number) if self._store is not None and self._replays else None
        if stored is None or stored.fingerprint == fingerprint():
            return stored
        # The steps behind it belong to the way that the record took before.
        self._replays = False
        log.warning("steps.diverged", step=number)
        if self._observer is not None:
            self._observer.diverged()
        return None

    def _heard(self, kind: str, outcome: str) -> None:
        if self._observer is not None:
            self._observer.stepped(kind, outcome)


def fingerprint_of(*parts: Any) -> str:
    """Return the fingerprint of what a step asks, 32 hexadecimal digits.

    Parts that are no JSON count by their type alone: whoever changes them changes the code.
    """
    text = to_json(parts, fallback=lambda part: type(part).__qualname__)
    return blake2b(text, digest_size=16).hexdigest()
