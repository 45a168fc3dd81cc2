"""The shares of a window's slots: what each of several inputs may use of them.

An input may use all slots but those kept for the others: half of each other one's part by weight.
So the backlog of one, or records that wait for a provider which is down, leave room for the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

Ordering = Literal["key", "partition", "none"]


@dataclass(frozen=True, slots=True)
class InputBounds:
    """What one input may use.

    Attributes:
        weight: Its part of the slots, beside the weights of the others.
        max_in_flight: Upper bound of its running records; None for that of its share alone.
        ordering: Of its records; None as the window's.
    """

    weight: float = 1.0
    max_in_flight: int | None = None
    ordering: Ordering | None = None


@dataclass(frozen=True, slots=True)
class SlotShares:
    """The slots of each input.

    Attributes:
        slots: Of the window.
        bounds: By topic; none where all records are of one input.
    """

    slots: int
    bounds: Mapping[str, InputBounds] = field(default_factory=dict)

    def slots_of(self, topic: str) -> int:
        """Return how many records of an input may run at once, at least 1."""
        own = self.bounds.get(topic)
        if own is None:
            return self.slots
        total = sum(bounds.weight for bounds in self.bounds.values())
        others = (one.weight for name, one in self.bounds.items() if name != topic)
        kept = sum(int(self.slots * weight / total / 2) for weight in others)
        most = max(1, self.slots - kept)
        return most if own.max_in_flight is None else min(most, own.max_in_flight)

    def scaled(self, slots: int) -> "SlotShares":
        """Return the same shares of another number, each input's own bound in proportion."""
        factor = max(1, slots // self.slots)
        bounds = {
            name: replace(one, max_in_flight=one.max_in_flight and one.max_in_flight * factor)
            for name, one in self.bounds.items()
        }
        return SlotShares(slots, bounds)


class Room:
    """How many records of each input may be unfinished: those that run, and those that wait.

    Args:
        shares: Of all that may be unfinished.
    """

    def __init__(self, shares: SlotShares) -> None:
        self._all = shares.slots
        self._of = {topic: shares.slots_of(topic) for topic in shares.bounds}

    def is_full(self, held: "Unfinished", topic: str | None = None) -> bool:
        """Whether nothing more may be taken, of an input where one is named."""
        if held.unfinished >= self._all:
            return True
        return topic is not None and held.unfinished_of(topic) >= self._of.get(topic, self._all)

    def is_low(self, held: "Unfinished", topic: str) -> bool:
        """Whether an eighth is free again, of all and of the input's."""
        of_topic = self._of.get(topic, self._all)
        return _is_low(held.unfinished, self._all) and _is_low(held.unfinished_of(topic), of_topic)


class Unfinished(Protocol):
    """What is held in the window."""

    @property
    def unfinished(self) -> int:
        """Records that run or wait."""
        ...

    def unfinished_of(self, topic: str) -> int:
        """Those of one input."""
        ...


def _is_low(unfinished: int, most: int) -> bool:
    return unfinished <= most - max(1, most // 8)
