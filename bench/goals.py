"""What streamapp is to reach beside the yardstick, by workload."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.result import Result

READY_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One figure and its bound.

    Attributes:
        of: Takes the figure from a result.
        bound: Of the figure itself, or of its ratio to the yardstick's.
        is_ratio: Which of both.
        is_least: Whether the bound is the smallest value that is good.
    """

    name: str
    of: Callable[[Result], float]
    bound: float
    is_ratio: bool = False
    is_least: bool = False

    def value(self, result: Result, yardstick: Result | None) -> float | None:
        """Return what the bound is of; None where it needs a yardstick and there is none."""
        if not self.is_ratio:
            return self.of(result)
        return None if yardstick is None else self.of(result) / self.of(yardstick)

    def is_met(self, value: float) -> bool:
        """Whether ``value`` is within the bound."""
        return value >= self.bound if self.is_least else value <= self.bound


def _p99_ms(result: Result) -> float:
    return result.p99_ms or float("inf")


_PACED = (
    Goal(name="p99 ms", of=_p99_ms, bound=215),
    Goal(name="CPU ms/record", of=lambda result: result.cpu_ms, bound=1.25, is_ratio=True),
)
GOALS: dict[str, tuple[Goal, ...]] = {
    "W1": (Goal(name="work s", of=lambda result: result.work_s, bound=1.12, is_ratio=True),),
    "W2": (
        Goal(
            name="records/s",
            of=lambda result: result.rate_per_s,
            bound=0.65,
            is_ratio=True,
            is_least=True,
        ),
        Goal(name="CPU ms/record", of=lambda result: result.cpu_ms, bound=1.5, is_ratio=True),
    ),
    "W3": (Goal(name="work s", of=lambda result: result.work_s, bound=1.02, is_ratio=True),),
    "W5": (
        Goal(name="work s", of=lambda result: result.work_s, bound=10.8),
        Goal(
            name="429s, % of the calls",
            of=lambda result: 100 * result.refused / result.calls,
            bound=3,
        ),
    ),
    "W7-10": _PACED,
    "W7-100": _PACED,
    "start": (
        Goal(name="first answer s", of=lambda result: result.first_answer_s, bound=1.8),
        Goal(name="memory at rest MB", of=lambda result: result.rest_mb, bound=85),
    ),
}
