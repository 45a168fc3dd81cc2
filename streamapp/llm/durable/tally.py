"""The sum of calls: their tokens, cost and attempts, and the last answer among them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from streamapp.llm.completion import Completion
from streamapp.llm.costs.prices import added_usd
from streamapp.records import exact_json
from streamapp.records.response import NO_USAGE, Usage


@dataclass(slots=True)
class Tally:
    """What calls came to, for one record or for the calls within one of its steps.

    Attributes:
        usage: Tokens that were paid for.
        original_usage: Tokens when they were paid for, if by others.
        cost_usd: US dollars; None where the price of one is unknown.
        attempts: Provider attempts, failed ones included.
        completions: How many calls were answered.
        is_cached: Whether every answer came from a cache.
        last: The last answer; None without one.
        written: What that says, as JSON, where it is no text and equal calls may have it: whoever
            has it may change it in its place.
    """

    usage: Usage = NO_USAGE
    original_usage: Usage = NO_USAGE
    cost_usd: Decimal | None = Decimal(0)
    attempts: int = 0
    completions: int = 0
    is_cached: bool = True
    last: Completion | None = None
    written: bytes | None = None

    def add(self, completion: Completion) -> None:
        """Count an answer."""
        self.usage += completion.usage
        self.original_usage += completion.original_usage or completion.usage
        self.attempts += completion.attempts
        self.completions += 1
        self.cost_usd = added_usd(self.cost_usd, completion.cost_usd)
        self.is_cached = self.is_cached and completion.cached
        self._note_last(completion)

    def merge(self, other: "Tally") -> None:
        """Count what ``other`` counted."""
        self.usage += other.usage
        self.original_usage += other.original_usage
        self.attempts += other.attempts
        self.completions += other.completions
        self.cost_usd = added_usd(self.cost_usd, other.cost_usd)
        self.is_cached = self.is_cached and other.is_cached
        if other.last is not None:
            self.last, self.written = other.last, other.written

    def _note_last(self, completion: Completion) -> None:
        self.last, self.written = completion, None
        if completion.fingerprint and not isinstance(completion.output, str):
            self.written = exact_json.dumps(completion.output)

    @property
    def cached(self) -> bool:
        """Whether there were answers and every one came from a cache."""
        return self.last is not None and self.is_cached

    def fingerprint_of(self, output: Any) -> str | None:
        """Return the fingerprint under which ``output`` answers equal calls, or None.

        Only where there was one call, paid for here, and ``output`` is its very answer.
        """
        last = self.last
        if last is None or self.completions > 1 or output is not last.output:
            return None
        if self.written is not None and self.written != _written(output):
            return None
        return last.fingerprint or None

    def encode(self) -> dict[str, Any]:
        """Return the sums as JSON; of the last answer who gave it, without its text."""
        last = self.last
        return {
            "usage": self.usage.model_dump(),
            "original_usage": self.original_usage.model_dump(),
            "cost_usd": None if self.cost_usd is None else format(self.cost_usd, "f"),
            "attempts": self.attempts,
            "completions": self.completions,
            "is_cached": self.is_cached,
            "last": None if last is None else [last.model, last.provider, last.finish_reason],
        }

    @classmethod
    def decode(cls, fields: Mapping[str, Any]) -> Self:
        """Return the sums that `encode` wrote."""
        last, cost_usd = fields["last"], fields["cost_usd"]
        return cls(
            usage=Usage.model_validate(fields["usage"]),
            original_usage=Usage.model_validate(fields["original_usage"]),
            cost_usd=None if cost_usd is None else Decimal(cost_usd),
            attempts=fields["attempts"],
            completions=fields["completions"],
            is_cached=fields["is_cached"],
            last=None
            if last is None
            else Completion(output=None, model=last[0], provider=last[1], finish_reason=last[2]),
        )


def _written(output: Any) -> bytes | None:
    """Return ``output`` as JSON; None where it is none any more."""
    try:
        return exact_json.dumps(output)
    except ValueError:
        return None
