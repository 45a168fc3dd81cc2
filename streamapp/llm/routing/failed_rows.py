"""Records that a target failed in a row, and what that tells of it."""

import math

from streamapp.errors import Failure, GarbledAnswer
from streamapp.llm.routing.break_offs import MOMENT_S

#: Of records in a row that are told apart.
_MOST = 1000
#: So many answers in a row say that a target is back.
_BACK = 20


class FailedRow:
    """The records that a target failed in a row, without an answer to any in between."""

    def __init__(self) -> None:
        self._records: dict[int, object] = {}
        self._answers = 0

    def add(self, record: object, *, answers: int) -> int:
        """Add one where it is another one; return how many they are.

        Args:
            record: The same object for each call of a record.
            answers: How many calls the target answered so far.
        """
        if answers != self._answers:
            self.clear()
            self._answers = answers
        if len(self._records) < _MOST:
            self._records[id(record)] = record
        return len(self._records)

    def clear(self) -> None:
        """Begin anew."""
        self._records.clear()


class GarbledRow(FailedRow):
    """Tells a target that answers no record with a completion from records that it never can.

    Among such records there are answers to others. So an answer that ends a long row raises the
    bar for the next one to twice its length, until as many answers in a row as make a long row at
    first say that it was the target, which is back.

    Args:
        least, least_s: So many records for so long are a long row at first.
    """

    def __init__(self, least: int, least_s: float) -> None:
        super().__init__()
        self._least, self._least_s = least, least_s
        self._bar, self._since = least, 0.0

    def is_of_target(self, record: object, *, answers: int, at: float) -> bool:
        """Add ``record``, as `add` does; return whether the row is the target's fault."""
        if answers - self._answers >= _BACK:
            self._bar = self._least
        count = self.add(record, answers=answers)
        self._since = at if count == 1 else self._since
        return count >= self._bar and at - self._since >= self._least_s

    def clear(self) -> None:
        """Begin anew: the target answered."""
        if (count := len(self._records)) >= self._bar:
            self._bar = min(count * 2, _MOST)
        super().clear()


class BrokenRow(GarbledRow):
    """Tells a target that breaks off every answer from a server that starts again a few times.

    All answers that were on their way break off together then: one record of each moment counts.
    """

    _moment = -math.inf

    def is_of_target(self, record: object, *, answers: int, at: float) -> bool:
        """Add ``record`` where its moment is a new one; return whether the target is at fault."""
        if at - self._moment <= MOMENT_S:
            return False
        self._moment = at
        return super().is_of_target(record, answers=answers, at=at)


def is_no_completion(error: Failure) -> bool:
    """Whether a target answered with nothing of use and without a word about it.

    Where the provider itself says, with a status, that what the model wrote is of no use, it works.
    """
    return isinstance(error, GarbledAnswer) and error.status in {None, 200}
