"""Refusals (429) that are one record's own, told from those of a rate that is too high."""

from collections import OrderedDict
from typing import NamedTuple

#: So many calls are answered between two refusals of a record, and so few others refused for each
#: of them, where it is the record that is refused: larger than the tokens of a minute, for one.
_ANSWERS = 20
_REFUSED_PART = 0.1
#: So seldom a record like the others would have been refused each time by chance, where it is sure.
_CHANCE = 1e-4
_KEPT = 256


class _Before(NamedTuple):
    """What was answered and refused until a record's last refusal, and the chance of all of its."""

    answers: int
    refusals: int
    chance: float = 1.0


class OwnRefusals:
    """Keeps the records that were refused lately, and what became of others since then."""

    def __init__(self) -> None:
        self._answers = self._refusals = 0
        self._refused: OrderedDict[object, _Before] = OrderedDict()

    def answered(self, record: object) -> None:
        """Take note of an answer."""
        self._answers += 1
        if self._refused:
            self._refused.pop(record, None)

    def refused(self, record: object) -> tuple[bool, bool]:
        """Take note of a refusal; return whether it says nothing about others, and is sure to.

        Args:
            record: The same object for each call of a record.
        """
        before = self._refused.pop(record, None)
        is_own, chance = False, 1.0
        if before is not None:
            answers, refusals = self._answers - before.answers, self._refusals - before.refusals
            is_own = answers >= _ANSWERS and refusals <= answers * _REFUSED_PART
            # Its own one is among the refusals, unless it said nothing about others.
            chance = before.chance * max(refusals, 1) / (max(refusals, 1) + answers)
        self._refused[record] = _Before(self._answers, self._refusals, chance)
        if len(self._refused) > _KEPT:
            self._refused.popitem(last=False)
        self._refusals += not is_own
        return is_own, chance <= _CHANCE
