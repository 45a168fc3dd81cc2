"""The figures of one run, and how two runs compare."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One contestant on one workload.

    Attributes:
        of_records: Records of the whole workload; more than ``records`` = a part was run.
        work_s: From the provider's first call to the last answer on the topic.
        cpu_s: CPU of the worker process in that time.
        peak_mb: Largest resident memory up to the last answer.
        rss_mb: Resident memory after each tenth of the answers.
        called_s: When each tenth of the calls had come, seconds from the first one.
        answered_s: The same of the answers.
        ready_s: From the start of the process to its first call.
        first_answer_s: From the start of the process to its first answer on the topic.
        rest_mb: Resident memory when it had been at rest for a moment after the last answer.
        p50_ms: Half of the records had their answer so long after they were written; None where
            they were not paced.
        p99_ms: The same of 99 of 100.
        slowest_ms: The slowest record of each tenth, in the order in which they were written.
        calls: Provider calls.
        refused: Those of them that the provider answered with 429.
    """

    contestant: str
    title: str
    workload: str
    records: int
    of_records: int
    work_s: float
    cpu_s: float
    peak_mb: float
    rss_mb: list[int] = field(default_factory=list)
    called_s: list[float] = field(default_factory=list)
    answered_s: list[float] = field(default_factory=list)
    ready_s: float
    first_answer_s: float
    rest_mb: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    slowest_ms: list[int] = field(default_factory=list)
    calls: int
    refused: int = 0
    order_breaks: int
    missing: int
    duplicates: int
    dead_letters: int
    exit_code: int

    @property
    def rate_per_s(self) -> float:
        return self.records / self.work_s

    @property
    def cpu_ms(self) -> float:
        """CPU per record, milliseconds."""
        return 1_000 * self.cpu_s / self.records

    @property
    def subject(self) -> float:
        """Paced records take as long in each run: it is their p99; of one, its start; else work."""
        if self.p99_ms is not None:
            return self.p99_ms
        return self.first_answer_s if self.records == 1 else self.work_s

    @property
    def is_extrapolated(self) -> bool:
        return self.records < self.of_records

    @property
    def whole_work_s(self) -> float:
        """Work of the whole workload; in proportion where only a part was run."""
        return self.work_s * self.of_records / self.records

    def as_json(self, reference: "Result | None") -> dict[str, Any]:
        """Return the figures, with the ratios to ``reference`` where there is one."""
        figures = asdict(self) | {
            "rate_per_s": self.rate_per_s,
            "cpu_ms_per_record": self.cpu_ms,
            "whole_work_s": self.whole_work_s,
        }
        if reference is not None:
            figures["rate_ratio"] = self.rate_per_s / reference.rate_per_s
            if reference.cpu_ms:  # the kernel counts in ticks: one record may take none
                figures["cpu_ratio"] = self.cpu_ms / reference.cpu_ms
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in figures.items()
        }


def median(runs: Sequence[Result]) -> Result:
    """Return the run in the middle by what its workload is about."""
    return sorted(runs, key=lambda run: run.subject)[len(runs) // 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """Several workers of one group on one workload.

    Attributes:
        whole: CPU of all of them; ``peak_mb`` of the largest.
        at_once: Most calls in progress at one moment.
    """

    workers: int
    whole: Result
    at_once: int

    @property
    def rate_per_s(self) -> float:
        """From the first tenth of the answers to the ninth: one slow last call is no rate."""
        records = self.whole.records * 9 // 10 - self.whole.records // 10
        first_s, *_, ninth_s, _last_s = self.whole.answered_s
        return records / max(0.01, ninth_s - first_s)

    def of_linear(self, first: "Scaled") -> float:
        """Return the rate by worker as a part of that in the ``first`` run."""
        return (self.rate_per_s / self.workers) / (first.rate_per_s / first.workers)

    def as_json(self, first: "Scaled") -> dict[str, Any]:
        """Return the figures."""
        return self.whole.as_json(None) | {
            "rate_per_s": round(self.rate_per_s, 4),
            "workers": self.workers,
            "at_once": self.at_once,
            "of_linear": round(self.of_linear(first), 4),
        }
