"""The figures of a run beside their goals."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from bench.goals import GOALS, Goal
from bench.report import print_bound
from bench.result import Result, median
from bench.workloads import WORKLOADS

RESULT = Result(
    contestant="streamapp",
    title="streamapp",
    workload="W2",
    records=100,
    of_records=100,
    work_s=2.0,
    cpu_s=1.0,
    peak_mb=100.0,
    ready_s=1.0,
    first_answer_s=1.0,
    rest_mb=80.0,
    calls=100,
    order_breaks=0,
    missing=0,
    duplicates=0,
    dead_letters=0,
    exit_code=0,
)


def test_every_goal_is_of_a_workload() -> None:
    """A goal whose workload was renamed would never be looked at."""
    assert GOALS.keys() <= WORKLOADS.keys()


@pytest.mark.parametrize(("cpu_s", "is_met"), [(1.5, True), (1.6, False)])
def test_goal_is_met_up_to_its_bound_of_the_yardstick(cpu_s: float, is_met: bool) -> None:
    """A ratio is that of two runs of one workload."""
    goal = Goal(name="CPU", of=lambda result: result.cpu_ms, bound=1.5, is_ratio=True)

    value = goal.value(replace(RESULT, cpu_s=cpu_s), RESULT)

    assert value is not None
    assert goal.is_met(value) is is_met


def test_goal_without_its_yardstick_has_no_value() -> None:
    """Where only streamapp ran, no ratio is made up."""
    goal = Goal(name="CPU", of=lambda result: result.cpu_ms, bound=1.5, is_ratio=True)

    assert goal.value(RESULT, None) is None


def test_run_of_no_measurable_cpu_has_no_ratio() -> None:
    """One record by hand takes less than a tick of the kernel's clock."""
    figures = RESULT.as_json(replace(RESULT, cpu_s=0.0))

    assert "cpu_ratio" not in figures
    assert figures["rate_ratio"] == 1.0


@pytest.mark.parametrize(("value", "verdict"), [(5.0, "met"), (5.01, "MISSED")])
def test_figure_stands_beside_its_bound(value: float, verdict: str) -> None:
    """Of memory and recovery, too, a reader sees the figure, its goal, and whether it is met."""
    out = StringIO()

    print_bound(Console(file=out, width=200), "recovery: ready s", value, 5.0)

    assert out.getvalue() == f"recovery: ready s: {value:.2f}, goal ≤ 5: {verdict}\n"


@pytest.mark.parametrize(
    ("records", "figures", "middle"),
    [
        pytest.param(100, [(2.0, 9.0, None), (3.0, 8.0, None), (4.0, 1.0, None)], 1, id="work"),
        pytest.param(1, [(2.0, 9.0, None), (3.0, 1.0, None), (4.0, 4.0, None)], 2, id="start"),
        pytest.param(100, [(2.0, 1.0, 220.0), (3.0, 2.0, 260.0), (4.0, 3.0, 210.0)], 0, id="p99"),
    ],
)
def test_the_middle_run_is_the_middle_of_what_is_measured(
    records: int, figures: list[tuple[float, float, float | None]], middle: int
) -> None:
    """By the work of paced records, which is always the same, any run could be the middle."""
    runs = [
        replace(RESULT, records=records, work_s=work_s, first_answer_s=answer_s, p99_ms=p99_ms)
        for work_s, answer_s, p99_ms in figures
    ]

    assert median(runs) is runs[middle]
