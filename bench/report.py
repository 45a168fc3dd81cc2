"""Prints the figures for people."""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from bench.contestants import STREAMAPP, YARDSTICK
from bench.goals import GOALS
from bench.hotspots import Hotspots
from bench.result import Result, Scaled
from bench.workloads import Workload


def reference(results: Sequence[Result], result: Result) -> Result | None:
    """Return the yardstick's result on the same workload."""
    same = (other for other in results if other.workload == result.workload)
    return next((other for other in same if other.contestant == YARDSTICK.name), None)


def print_workload(console: Console, workload: Workload, results: Sequence[Result]) -> None:
    """Print the table of one workload: the columns that tell something of it."""
    table = Table(title=f"{workload.name}: {workload.title}", title_justify="left")
    table.add_column("program")
    is_paced, is_start = workload.pace_per_s is not None, workload.records == 1
    columns: list[tuple[str, bool, Callable[[Result, Result | None], str]]] = [
        ("work s", not is_paced and not is_start, lambda result, _: _work(result)),
        ("records/s", not is_paced and not is_start, lambda r, _: f"{r.rate_per_s:,.0f}"),
        (
            "rate ÷ hand",
            not is_paced and not is_start,
            lambda r, hand: _ratio(r.rate_per_s, hand and hand.rate_per_s),
        ),
        ("first answer s", is_start, lambda r, _: f"{r.first_answer_s:.2f}"),
        ("at rest MB", is_start, lambda r, _: f"{r.rest_mb:.0f}"),
        ("p50 ms", is_paced, lambda r, _: f"{r.p50_ms or 0:.0f}"),
        ("p99 ms", is_paced, lambda r, _: f"{r.p99_ms or 0:.0f}"),
        ("CPU ms/record", not is_start, lambda r, _: f"{r.cpu_ms:.2f}"),
        ("CPU ÷ hand", not is_start, lambda r, hand: _ratio(r.cpu_ms, hand and hand.cpu_ms)),
        ("calls", True, lambda r, _: f"{r.calls:,}"),
        ("429s", workload.limit_per_s is not None, lambda r, _: f"{r.refused:,}"),
        ("order breaks", True, lambda r, _: f"{r.order_breaks:,}"),
        ("lost", True, lambda r, _: f"{r.missing:,}"),
        ("twice", True, lambda r, _: f"{r.duplicates:,}"),
        ("peak MB", True, lambda r, _: f"{r.peak_mb:.0f}"),
    ]
    shown = [(name, cell) for name, is_shown, cell in columns if is_shown]
    for name, _ in shown:
        table.add_column(name, justify="right")
    for result in results:
        hand = reference(results, result)
        table.add_row(result.title, *(cell(result, hand) for _, cell in shown))
    console.print(table)
    _print_goals(console, results)
    for result in results:
        if result.slowest_ms:
            slowest = " ".join(map(str, result.slowest_ms))
            console.print(f"{result.title}, slowest of each tenth, ms: {slowest}")
        if result.exit_code:
            console.print(f"{result.title} ended with exit code {result.exit_code}")
        if result.dead_letters:
            console.print(f"{result.title} wrote {result.dead_letters:,} dead letters")


def _work(result: Result) -> str:
    if result.is_extrapolated:
        return f"~{result.whole_work_s:.0f} (from {result.records})"
    return f"{result.work_s:.2f}"


def _ratio(value: float, of: float | None) -> str:
    return f"{value / of:.2f}" if of else ""


def _print_goals(console: Console, results: Sequence[Result]) -> None:
    ours = next((result for result in results if result.contestant == STREAMAPP.name), None)
    if ours is None or ours.is_extrapolated:
        return
    for goal in GOALS.get(ours.workload, ()):
        value = goal.value(ours, reference(results, ours))
        if value is None:
            continue
        sign, times = ("≥" if goal.is_least else "≤"), (" x by hand" if goal.is_ratio else "")
        console.print(
            f"{ours.workload} {goal.name}: {value:.2f}{times}, goal {sign} {goal.bound:g}{times}:"
            f" {'met' if goal.is_met(value) else 'MISSED'}"
        )


def print_bound(console: Console, name: str, value: float, bound: float) -> None:
    """Print a figure beside the bound that it must not exceed."""
    verdict = "met" if value <= bound else "MISSED"
    console.print(f"{name}: {value:.2f}, goal ≤ {bound:g}: {verdict}")


def print_scale(console: Console, workload: Workload, runs: Sequence[Scaled]) -> None:
    """Print what more workers give, beside the first run's."""
    table = Table(title=f"{workload.name}: {workload.title}", title_justify="left")
    for name in (
        "workers",
        "records/s",
        "of linear",
        "CPU ms/record",
        "calls at once",
        "lost",
        "twice",
        "peak MB each",
    ):
        table.add_column(name, justify="right")
    for run in runs:
        whole = run.whole
        table.add_row(
            f"{run.workers}",
            f"{run.rate_per_s:,.1f}",
            f"{run.of_linear(runs[0]):.3f}",
            f"{whole.cpu_ms:.2f}",
            f"{run.at_once:,}",
            f"{whole.missing:,}",
            f"{whole.duplicates:,}",
            f"{whole.peak_mb:.0f}",
        )
    console.print(table)
    for run in runs:
        if run.whole.exit_code or run.whole.dead_letters:
            console.print(
                f"{run.workers} workers: exit code {run.whole.exit_code},"
                f" {run.whole.dead_letters:,} dead letters"
            )


def print_hotspots(console: Console, result: Result, hotspots: Hotspots) -> None:
    """Print where a worker's CPU time went."""
    console.print(
        f"{result.workload} {result.contestant}, CPU ms a record: {hotspots.total_ms:.3f} of the"
        f" main thread ({hotspots.samples:,} samples), {hotspots.others_ms:.3f} of the others"
    )
    for title, rows in (("step", hotspots.steps), ("package, own time", hotspots.packages[:25])):
        table = Table(title_justify="left")
        table.add_column(title)
        table.add_column("ms/record", justify="right")
        table.add_column("%", justify="right")
        for name, ms in rows:
            table.add_row(name, f"{ms:.4f}", f"{100 * ms / hotspots.total_ms:.1f}")
        console.print(table)
    functions = Table(title="functions by own time", title_justify="left")
    functions.add_column("function", overflow="fold")
    for name in ("own ms/record", "total ms/record"):
        functions.add_column(name, justify="right")
    for spot in hotspots.functions:
        functions.add_row(spot.name, f"{spot.own_ms:.4f}", f"{spot.total_ms:.4f}")
    console.print(functions)
