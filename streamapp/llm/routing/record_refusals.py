"""Refusals of one record by targets that answer others: then it is the record that is refused."""

from streamapp.errors import ContentFiltered, Failure, ProviderForbidden
from streamapp.llm.routing.breaker import Breaker

#: So often a target refuses a record, while it answers others in between, until that is its policy.
_REFUSALS = 3


class RecordRefusals:
    """Counts the refusals (403 without a reason) of one call, by target.

    A key that was withdrawn and an input that may not be answered look alike; what tells them
    apart is whether others are answered meanwhile.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._answers: dict[str, int] = {}

    def judged(self, failure: ProviderForbidden, breaker: Breaker) -> Failure:
        """Return ``failure``, or the policy's refusal that it has turned out to be."""
        name = breaker.name
        if breaker.answers > self._answers.get(name, 0):
            self._answers[name] = breaker.answers
            self._counts[name] = self._counts.get(name, 0) + 1
        if self._counts.get(name, 0) < _REFUSALS:
            return failure
        refused = ContentFiltered(
            f"{failure.provider}: HTTP {failure.status} for this record, while others are answered",
            provider=failure.provider,
            status=failure.status,
        )
        refused.attempts, refused.paid = failure.attempts, failure.paid
        refused.__cause__ = failure
        return refused
