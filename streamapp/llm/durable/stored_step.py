"""A finished step as it is stored, and the interface of what stores it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic_core import from_json, to_json


@dataclass(frozen=True, slots=True)
class StoredStep:
    """One finished step.

    Attributes:
        fingerprint: Of what was asked: another one means that the record's way has changed.
        prompt: The prompt that the record began with, ``name:version`` or ``name:version@label``;
            or empty.
        result: JSON.
        spent: What the steps within it came to; None where there were none.
        beyond: The record's place in the sums of budgets then; see `Place`.
    """

    fingerprint: str
    prompt: str
    result: bytes
    spent: dict[str, Any] | None = None
    beyond: frozenset[str] | None = None

    def encode(self) -> bytes:
        """Return the step as JSON; the result stands in it as it is."""
        head: dict[str, Any] = {"fingerprint": self.fingerprint, "prompt": self.prompt}
        if self.spent is not None:
            head["spent"] = self.spent
        if self.beyond is not None:
            head["beyond"] = sorted(self.beyond)
        return b'%b,"result":%b}' % (to_json(head)[:-1], self.result)

    @classmethod
    def decode(cls, value: bytes) -> "StoredStep":
        """Return the step that `encode` wrote."""
        fields: dict[str, Any] = from_json(value)
        result = value[value.index(b'"result":') + len(b'"result":') : -1]
        beyond = fields.get("beyond")
        return cls(
            fields["fingerprint"],
            fields["prompt"],
            result,
            fields.get("spent"),
            None if beyond is None else frozenset(beyond),
        )


class StepStore(Protocol):
    """Keeps the finished steps of one record; see ``streaming/delivery/step_store.py``."""

    @property
    def limit_bytes(self) -> int:
        """What a step, or the record's answer, may have at most."""
        ...

    def get(self, number: str) -> StoredStep | None:
        """Return a finished step, or None."""
        ...

    def values(self) -> Iterable[StoredStep]:
        """Return all finished steps, of tasks and within others too; one look-up for none.

        The record's own are before those that it is given of an equal one.
        """
        ...

    async def adopt(self, number: str, step: StoredStep) -> None:
        """Keep a step that was given, where it is an equal record's; raises as `put`."""
        ...

    async def put(self, number: str, step: StoredStep) -> None:
        """Keep a finished step; returns when it will survive this worker.

        Raises:
            TooLarge: The result does not fit into a record.
        """
        ...
