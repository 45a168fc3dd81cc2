"""Refusals (429) that are one record's own, told from those of a rate that is too high."""

from collections import OrderedDict

#: So many calls are answered between two refusals of a record, and so few others refused for each
#: of them, where it is the record that is refused: larger than the tokens of a minute, for one.
_ANSWERS = 20
_REFUSED_PART = 0.1
_KEPT = 256


class OwnRefusals:
    """Keeps the records that were refused lately, and what became of others since then."""

    def __init__(self) -> None:
        self._answers = self._refusals = 0
        self._refused: OrderedDict[object, tuple[int, int]] = OrderedDict()

    def answered(self, record: object) -> None:
        """Take note of an answer."""
        self._answers += 1
        if self._refused:
            self._refused.pop(record, None)

    def is_own(self, record: object) -> bool:
        """Take note of a refusal; return whether it says nothing about others.

        Args:
            record: The same object for each call of a record.
        """
        before = self._refused.pop(record, None)
        self._refused[record] = self._answers, self._refusals
        if len(self._refused) > _KEPT:
            self._refused.popitem(last=False)
        is_own = False
        if before is not None:
            answers, refusals = self._answers - before[0], self._refusals - before[1]
            is_own = answers >= _ANSWERS and refusals <= answers * _REFUSED_PART
        self._refusals += not is_own
        return is_own
