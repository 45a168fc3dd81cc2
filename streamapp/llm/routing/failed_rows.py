"""Records that a target failed in a row, and what that tells of it."""

import math

from streamapp.errors import Failure, GarbledAnswer
from streamapp.llm.routing.break_offs import MOMENT_S

#: Of records in a row that are told apart.
_MOST = 1000
#: Failures are an outage where they are at least this part of the calls on their way, or where
#: answers have not made up for them for so long, seconds.
_PART, _LONG_S = 1 / 4, 5.0
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


class OutageRow:
    """Tells an outage from the quick failures of a target that answers most calls.

    Of many calls that begin together those that fail may end first, though they are few.

    Args:
        least: Failures in a row.

    Attributes:
        count: Of them, less those that were taken off by answers.
    """

    def __init__(self, least: int) -> None:
        self.count = 0
        self._least, self._since = least, 0.0
        self._answered_at = -math.inf

    def is_of_target(self, error: Failure, *, at: float, in_flight: int) -> bool:
        """Add a failure; return whether the row is an outage.

        Args:
            error: What a call ended with that was without an answer for as long as it took.
            at: When, seconds.
            in_flight: Calls that are on their way.
        """
        self.count += 1
        if self.count == 1:
            self._since = max(at - error.took_s, self._answered_at)
        is_most = self.count >= in_flight * _PART
        return self.count >= self._least and (is_most or at - self._since >= _LONG_S)

    def answered(self, at: float) -> None:
        """Take as many failures off as make a row.

        Not all: a server that takes no new calls goes on to answer those that it has.
        """
        self.count, self._answered_at = max(self.count - self._least, 0), at


class RefusedRow:
    """Refusals (429) and nothing else.

    Args:
        least, least_s: So many for so long are more than a limit.
    """

    def __init__(self, least: int, least_s: float) -> None:
        self._least, self._least_s = least, least_s
        self._count, self._since = 0, 0.0

    def is_of_target(self, *, at: float) -> bool:
        """Add a refusal; return whether the target refuses everything."""
        self._count += 1
        self._since = at if self._count == 1 else self._since
        return self._count >= self._least and at - self._since >= self._least_s

    def clear(self) -> None:
        """Begin anew: the target answered."""
        self._count = 0


class GarbledRow(FailedRow):
    """Tells a target that answers no record with a completion from records that it never can.

    Among such records there are answers to others. So an answer that ends a long row raises the
    bar for the next one to twice its length, until `_BACK` answers in a row say that it was the
    target, which is back.

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
