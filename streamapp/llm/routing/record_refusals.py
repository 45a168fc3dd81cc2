"""Refusals of one record by targets that answer others: then it is the record that is refused."""

from streamapp.errors import ContentFiltered, Failure, ProviderForbidden, ProviderRejected
from streamapp.llm.routing.breaker import Breaker

#: So often a target refuses a record, while it answers others in between, until that is its policy.
_REFUSALS = 3
#: So often it says what may be the record's own words, while nobody else is refused or answered.
_QUOTES = 5


class RecordRefusals:
    """Counts the refusals of one call that may be the account's or the record's, by target.

    A key that was withdrawn and an input that may not be answered look alike, and so do an error
    about the key and one that quotes a record about keys. What tells them apart is whether
    others are answered meanwhile.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._quotes: dict[str, int] = {}
        self._answers: dict[str, int] = {}

    def judged(self, failure: ProviderForbidden, breaker: Breaker) -> Failure:
        """Return ``failure``, or the refusal of the record that it has turned out to be."""
        name = breaker.name
        if breaker.answers > self._answers.get(name, 0):
            self._answers[name] = breaker.answers
            self._counts[name] = self._counts.get(name, 0) + 1
        if failure.is_quote and not breaker.is_open:
            self._quotes[name] = self._quotes.get(name, 0) + 1
        if self._counts.get(name, 0) < _REFUSALS and self._quotes.get(name, 0) < _QUOTES:
            return failure
        refused = (ContentFiltered if failure.status == 403 else ProviderRejected)(
            f"{failure}; only this record is refused",
            provider=failure.provider,
            status=failure.status,
        )
        refused.attempts, refused.paid = failure.attempts, failure.paid
        refused.__cause__ = failure
        return refused
