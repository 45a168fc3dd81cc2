"""``python -m bench``: the command line of the benchmark."""

import asyncio
import contextlib
import logging
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.arena import PARTITIONS, Arena
from bench.contestants import CONTESTANTS, STREAMAPP, YARDSTICK
from bench.goals import READY_LIMIT_S
from bench.report import print_bound, print_hotspots, print_scale, print_workload, reference
from bench.result import Result, Scaled, median
from bench.run import RunFailed
from bench.workloads import MEMORY, RECOVERY, SCALE, WORKLOADS, Workload
from tests.support.kafka import KafkaBroker
from tests.support.maven import MavenUnavailable

MEMORY_LIMIT_MB = 250
QUICK = 20
#: Takes what the broker writes, where it has the room: a disk that writes back what it was given
#: keeps a broker waiting for parts of a second, whoever is measured then.
MEMORY_FOLDER = Path("/dev/shm")  # a folder of its own is made there
NEEDED_BYTES = 4 << 30
DEFAULTS = [name for name, workload in WORKLOADS.items() if workload.is_default]
IN_FLIGHT = 256
SCALE_IN_FLIGHT = 64  # few enough that waiting, and no core, is the limit of four workers


def _names(choices: list[str]) -> "click.ParamType":
    class Names(click.ParamType):
        name = ",".join(choices)

        def convert(self, value, param, ctx):  # type: ignore[no-untyped-def]  # click's own
            names = value if isinstance(value, list) else value.split(",")
            for name in names:
                if name not in choices:
                    self.fail(f"{name!r} is none of {', '.join(choices)}", param, ctx)
            return names

    return Names()


@click.command()
@click.option(
    "--only",
    type=_names(list(WORKLOADS)),
    help=f"Workloads, comma-separated.  [default: {','.join(DEFAULTS)}]",
)
@click.option(
    "--contestant",
    type=_names(list(CONTESTANTS)),
    default=f"{YARDSTICK.name},{STREAMAPP.name}",
    show_default=True,
    help=f"Programs, comma-separated, of {', '.join(CONTESTANTS)}.",
)
@click.option("--records", type=click.IntRange(1), help="Run only this many records of each.")
@click.option("--quick", is_flag=True, help=f"1/{QUICK} of the records: a smoke test.")
@click.option(
    "--in-flight",
    type=click.IntRange(1),
    help=f"Calls of a worker at once.  [default: {IN_FLIGHT}; {SCALE_IN_FLIGHT} with --scale]",
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Runs of each; the median counts.",
)
@click.option(
    "--profile",
    is_flag=True,
    help="Sample the workers: milliseconds of each step of a record; no comparison.",
)
@click.option("--memory", is_flag=True, help=f"streamapp's {MEMORY.title}, nothing else.")
@click.option("--recovery", is_flag=True, help=f"streamapp's {RECOVERY.title}, nothing else.")
@click.option(
    "--scale",
    type=_names([str(n) for n in range(1, PARTITIONS + 1) if PARTITIONS % n == 0]),
    is_flag=False,
    flag_value="1,2,4",
    help="Several streamapp workers of one group, nothing else; --scale alone is 1,2,4.",
)
@click.option("--broker", help="HOST:PORT of a running Kafka; without it one is started.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep logs and profiles here.")
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON on stdout, no tables.")
def bench(
    only: list[str] | None,
    contestant: list[str],
    records: int | None,
    quick: bool,
    in_flight: int | None,
    rounds: int,
    profile: bool,
    memory: bool,
    recovery: bool,
    scale: list[str] | None,
    broker: str | None,
    keep: Path | None,
    as_json: bool,
) -> None:
    """Measure streamapp beside aiokafka by hand, and plain Faust, on one broker."""
    is_whole = STREAMAPP.name in contestant and not (only or profile or memory or recovery or scale)

    def sized(workload: Workload) -> Workload:
        small = workload.shrunk(QUICK) if quick else workload
        return small.first(records) if records else small

    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # new topics look for their leader
    out = Console(stderr=as_json, width=None if sys.stdout.isatty() else 160)
    figures: list[dict[str, Any]] = []

    async def compare(arena: Arena) -> None:
        for workload in (sized(WORKLOADS[name]) for name in only or DEFAULTS):
            runs: dict[str, list[Result]] = {name: [] for name in contestant}
            profiles: list[dict[str, Any]] = []
            for name in contestant * rounds:  # in turns: what else the machine does hits all
                result, hotspots = await arena.run(CONTESTANTS[name], workload, profile=profile)
                runs[name].append(result)
                if hotspots:
                    print_hotspots(out, result, hotspots)
                    profiles.append(result.as_json(None) | {"profile": hotspots.as_json()})
            results = [median(of) for of in runs.values()]
            if profile:
                figures.extend(profiles)
                continue
            print_workload(out, workload, results)
            figures.extend(result.as_json(reference(results, result)) for result in results)

    async def grow(arena: Arena) -> None:
        workload = sized(MEMORY)
        result, _ = await arena.run(STREAMAPP, workload)
        print_workload(out, workload, [result])
        out.print(f"resident MB after each tenth: {result.rss_mb}")
        print_bound(out, "memory: peak MB", result.peak_mb, MEMORY_LIMIT_MB)
        figures.append(result.as_json(None))

    async def recover(arena: Arena) -> None:
        workload = sized(RECOVERY)
        result, again = await arena.restart(STREAMAPP, workload)
        print_workload(out, workload, [result])
        print_bound(
            out,
            f"recovery: ready s with {again.answers:,} answers in the changelog",
            again.ready_s,
            READY_LIMIT_S,
        )
        figures.append(result.as_json(None) | {"restart": asdict(again)})

    async def multiply(arena: Arena, workers: list[str]) -> None:
        for workload in [sized(WORKLOADS[name]) for name in only or ()] or [sized(SCALE)]:
            runs: dict[str, list[Scaled]] = {count: [] for count in workers}
            for count in workers * rounds:
                runs[count].append(await arena.scale(STREAMAPP, workload, int(count)))
            results = [
                sorted(of, key=lambda run: run.whole.work_s)[len(of) // 2] for of in runs.values()
            ]
            print_scale(out, workload, results)
            figures.extend(result.as_json(results[0]) for result in results)

    async def main(folder: Path) -> None:
        stop = asyncio.current_task().cancel  # type: ignore[union-attr]  # inside a task
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        with _progress() as progress:
            task = progress.add_task("broker", total=None)

            def show(what: str, done: int, total: int) -> None:
                progress.update(task, description=what, completed=done, total=total)

            async with _broker(broker) as address:
                calls = in_flight or (SCALE_IN_FLIGHT if scale else IN_FLIGHT)
                arena = Arena(address, folder, in_flight=calls, progress=show)
                if not (memory or recovery or scale):
                    await compare(arena)
                if memory or is_whole:
                    await grow(arena)
                if recovery or is_whole:
                    await recover(arena)
                if scale:
                    await multiply(arena, scale)

    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        try:
            uvloop.run(main(folder.resolve()))
        except (RunFailed, MavenUnavailable, TimeoutError) as error:
            raise click.ClickException(str(error)) from error
        except asyncio.CancelledError:
            raise click.Abort from None
    if as_json:
        click.echo(orjson.dumps(figures, option=orjson.OPT_INDENT_2))


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


@contextlib.asynccontextmanager
async def _broker(address: str | None) -> AsyncIterator[str]:
    if address:
        yield address
        return
    with tempfile.TemporaryDirectory(prefix="bench-kafka-", dir=_memory_folder()) as folder:
        kafka = KafkaBroker(Path(folder))
        await kafka.start()
        try:
            yield kafka.bootstrap
        finally:
            await kafka.stop()


def _memory_folder() -> Path | None:
    """Return where files lie in memory; None where there is too little of it, or no such place."""
    if not MEMORY_FOLDER.is_dir() or shutil.disk_usage(MEMORY_FOLDER).free < NEEDED_BYTES:
        return None
    return MEMORY_FOLDER


if __name__ == "__main__":
    bench(prog_name="python -m bench")
