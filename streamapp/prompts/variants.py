"""Variants: calls, failures and costs of each prompt version in this process."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from streamapp.errors import Failure, Kind
from streamapp.records.response import NO_USAGE, Response, Usage

#: Failures that another text might not have had; outages and late records are not among them.
FAULTS = frozenset(
    {
        Kind.PROMPT_ERROR,
        Kind.OUTPUT_INVALID,
        Kind.REJECTED,
        Kind.CONTENT_FILTERED,
        Kind.CONTEXT_LENGTH,
        Kind.TOO_LARGE,
    }
)


@dataclass(slots=True)
class Variant:
    """Sums over the records that used one version by one label.

    Attributes:
        label: None where records named the version.
        calls: Records, answered or not.
        errors: Records that were not answered.
        faults: Those of them that another text might not have had.
        invalid_outputs: Those whose answer did not fit the schema.
        input_tokens: Of the records that were not answered, too; so are all sums of them and of
            money.
        cost_usd: Of the records whose price is known, US dollars.
        duration_s: Active time of the answered ones, seconds.
        unpriced: Records whose price is not known.
    """

    version: int
    label: str | None
    calls: int = 0
    errors: int = 0
    faults: int = 0
    invalid_outputs: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    duration_s: float = 0.0
    unpriced: int = 0

    def spend(self, usage: Usage, cost_usd: Decimal | None) -> None:
        """Count what one record came to."""
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.cost_usd += cost_usd or 0
        self.unpriced += cost_usd is None

    def add(self, other: Self) -> None:
        """Add what another worker counted."""
        for name in self.__slots__[2:]:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def to_json(self) -> dict[str, Any]:
        """Return the sums, money as text, with the mean duration of an answer."""
        sums = {name: getattr(self, name) for name in self.__slots__}
        answered = self.calls - self.errors
        mean_s = round(self.duration_s / answered, 4) if answered else None
        return sums | {"cost_usd": format(self.cost_usd, "f"), "mean_duration_s": mean_s}

    @classmethod
    def from_json(cls, sums: Mapping[str, Any]) -> Self:
        """Return what ``to_json`` wrote.

        Raises:
            KeyError: It did not.
        """
        fields = {name: sums[name] for name in cls.__slots__ if name != "unpriced"}
        fields["unpriced"] = sums.get("unpriced", 0)  # an older worker does not count them
        return cls(**fields | {"cost_usd": Decimal(sums["cost_usd"])})


class Variants:
    """Counts outcomes by prompt, version and label, from the start of the process on."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int, str | None], Variant] = {}

    def answered(self, response: Response) -> None:
        """Count an answer, if it came of a prompt."""
        use = response.prompt
        if use is None:
            return
        variant = self._of(use.name, use.version, use.label)
        variant.calls += 1
        variant.cached += response.cached
        variant.spend(response.usage, response.cost_usd)
        variant.duration_s += response.duration_s

    def failed(
        self,
        name: str,
        version: int,
        label: str | None,
        failure: Failure,
        *,
        usage: Usage = NO_USAGE,
        cost_usd: Decimal | None = Decimal(0),
    ) -> None:
        """Count a record that was not answered, with what its calls came to all the same."""
        variant = self._of(name, version, label)
        variant.calls += 1
        variant.errors += 1
        variant.faults += failure.kind in FAULTS
        variant.invalid_outputs += failure.kind is Kind.OUTPUT_INVALID
        variant.spend(usage, cost_usd)

    def of(self, name: str) -> list[Variant]:
        """Return the variants of a prompt."""
        return [variant for (prompt, *_), variant in self._counts.items() if prompt == name]

    def counted(self, name: str, version: int, label: str) -> tuple[int, int]:
        """Return calls and faults of one variant."""
        variant = self._counts.get((name, version, label))
        return (variant.calls, variant.faults) if variant else (0, 0)

    def _of(self, name: str, version: int, label: str | None) -> Variant:
        key = (name, version, label)
        if key not in self._counts:
            self._counts[key] = Variant(version, label)
        return self._counts[key]


def merged(variants: Iterable[Variant]) -> list[Variant]:
    """Return one variant for each version and label, in their order."""
    sums: dict[tuple[int, str], Variant] = {}
    for variant in variants:
        key = (variant.version, variant.label or "")
        total = sums.setdefault(key, Variant(variant.version, variant.label))
        total.add(variant)
    return [sums[key] for key in sorted(sums)]
