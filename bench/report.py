"""Prints the figures for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.contestants import PLAIN
from bench.hotspots import Hotspots
from bench.result import Result, Scaled
from bench.workloads import Workload


def reference(results: Sequence[Result], result: Result) -> Result | None:
    """Return the hand-written aiokafka program's result on the same workload."""
    same = (other for other in results if other.workload == result.workload)
    return next((other for other in same if other.contestant == PLAIN.name), None)


def print_workload(console: Console, workload: Workload, results: Sequence[Result]) -> None:
    """Print the table of one workload."""
    table = Table(title=f"{workload.name}: {workload.title}", title_justify="left")
    table.add_column("program")
    for name in (
        "work s",
        "records/s",
        "rate ÷ plain",
        "CPU ms/record",
        "CPU ÷ plain",
        "calls",
        "order breaks",
        "lost",
        "twice",
        "peak MB",
    ):
        table.add_column(name, justify="right")
    for result in results:
        plain = reference(results, result)
        is_part = result.is_extrapolated
        table.add_row(
            result.title,
            f"~{result.whole_work_s:.0f} (from {result.records})"
            if is_part
            else f"{result.work_s:.2f}",
            f"{result.rate_per_s:,.0f}",
            f"{result.rate_per_s / plain.rate_per_s:.2f}" if plain else "",
            f"{result.cpu_ms:.2f}",
            f"{result.cpu_ms / plain.cpu_ms:.2f}" if plain else "",
            f"{result.calls:,}",
            f"{result.order_breaks:,}",
            f"{result.missing:,}",
            f"{result.duplicates:,}",
            f"{result.peak_mb:.0f}",
        )
    console.print(table)
    for result in results:
        if result.exit_code:
            console.print(f"{result.title} ended with exit code {result.exit_code}")
        if result.dead_letters:
            console.print(f"{result.title} wrote {result.dead_letters:,} dead letters")


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
    """Print where a worker's time went; the profiler itself makes everything slower."""
    console.print(
        f"{result.workload} {result.contestant}, profiled:"
        f" {hotspots.total_ms:.3f} ms a record in Python and C functions"
    )
    packages = Table(title="own time by package", title_justify="left")
    packages.add_column("package")
    packages.add_column("ms/record", justify="right")
    for package, own_ms in hotspots.packages[:25]:
        packages.add_row(package, f"{own_ms:.4f}")
    functions = Table(title="functions by own time", title_justify="left")
    functions.add_column("function", overflow="fold")
    for name in ("own ms/record", "total ms/record", "calls/record"):
        functions.add_column(name, justify="right")
    for spot in hotspots.functions:
        functions.add_row(
            spot.name, f"{spot.own_ms:.4f}", f"{spot.total_ms:.4f}", f"{spot.calls:.2f}"
        )
    console.print(packages, functions)
