"""Refusals (429) that are one record's own, told from those of a rate that is too high."""

from collections import OrderedDict
from typing import NamedTuple

#: So many calls are answered between two refusals of a record, and so few others refused for each
#: of them, where it is the record that is refused: larger than the tokens of a minute, for one.
_ANSWERS = 20
_REFUSED_PART = 0.1
#: So seldom a record like the others would have been refused each time by chance, where it is sure.
_CHANCE = 1e-4
_KEPT = 4096


class _Refused(NamedTuple):
    """A record that was refused, and what had become of others by its last refusal.

    Attributes:
        times: How often it was.
        chance: Of that, were it one like those that were answered meanwhile.
        answers, refusals: Of others.
        borne: How often those had been refused before that were answered.
    """

    times: int = 0
    chance: float = 1.0
    answers: int = 0
    refusals: int = 0
    borne: int = 0


class OwnRefusals:
    """Keeps the records that were refused lately, and what became of others since then."""

    def __init__(self) -> None:
        self._answers = self._refusals = self._borne = 0
        self._refused: OrderedDict[object, _Refused] = OrderedDict()

    def answered(self, record: object) -> None:
        """Take note of an answer."""
        self._answers += 1
        if self._refused and (refused := self._refused.pop(record, None)):
            self._borne += refused.times

    def refused(self, record: object) -> tuple[bool, bool]:
        """Take note of a refusal; return whether it says nothing about others, and is sure to.

        A record that is to blame is refused as often as it likes, and bears witness of nothing:
        how often calls are refused is seen from those that were answered in the end.

        Args:
            record: The same object for each call of a record.
        """
        answers = refusals = borne = 0
        if before := self._refused.pop(record, None):
            answers, refusals = self._answers - before.answers, self._refusals - before.refusals
            borne = self._borne - before.borne
        else:
            before = _Refused()
        is_own = answers >= _ANSWERS and refusals <= answers * _REFUSED_PART
        chance = before.chance * (borne + 1) / (borne + 1 + answers)
        self._refused[record] = _Refused(
            before.times + 1, chance, self._answers, self._refusals, self._borne
        )
        if len(self._refused) > _KEPT:
            self._refused.popitem(last=False)
        self._refusals += not is_own
        return is_own, chance <= _CHANCE
