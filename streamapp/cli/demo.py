"""`streamapp demo`: a broker, a worker, a record of every type and an agent, in one command."""

import asyncio
import json
import signal
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from streamapp.cli import demo_agent
from streamapp.cli.answers import answers_table
from streamapp.cli.child import WorkerProcess, running_worker
from streamapp.cli.demo_chain import FLOWS, chain_ends, chain_table, send_reviews
from streamapp.cli.kafka import client_settings
from streamapp.cli.samples import SampleOutcome, answer_samples, samples
from streamapp.cli.terminal import own_command
from streamapp.errors import ConfigurationError, StreamappError
from streamapp.settings import Settings
from streamapp.streaming.broker.embedded import EmbeddedBroker, free_port
from streamapp.streaming.broker.topics import topic_specs
from streamapp.web.server import web_url

T = TypeVar("T")

#: Longest wait for a ready worker, seconds: a busy machine starts it slowly.
READY_TIMEOUT_S = 120.0
#: Longest wait for the answers beyond a record's own deadline, seconds.
MARGIN_S = 10.0
#: The first join of a group waits half of this on the embedded broker, seconds.
SESSION_TIMEOUT_S = 6
#: Group, and prefix of the topics, on a broker that others use.
OWN_NAME = "streamapp-demo"


@click.command()
@click.option("--exit", "leave", is_flag=True, help="End after the answers, with exit code 0.")
def demo(leave: bool) -> None:
    """Run a broker, a worker and one sample record of every type.

    One more goes to an agent, whose model may call two tools.
    The broker is the embedded one, in memory, unless STREAMAPP_BROKER is set: there, group and
    topics are the demo's own, streamapp-demo. Without OPENAI_API_KEY or OPENAI_BASE_URL the
    answers come from the built-in offline provider. On the embedded broker sample reviews also go
    through a chain of three flows, where none is set.
    """
    asyncio.run(_demo(client_settings(may_lack_secrets=False), leave=leave))


async def _demo(settings: Settings, *, leave: bool) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with AsyncExitStack() as stack:
        progress = stack.enter_context(_progress())
        task = progress.add_task("starting the broker", total=len(samples()))
        port, has_chain = _free_port(settings), False
        environment = {
            "STREAMAPP_STORE": "memory://",
            "STREAMAPP_WEB_PORT": str(port),
            "STREAMAPP_PROCESSORS": ",".join([*settings.processor_modules, demo_agent.__name__]),
        }
        if "broker" not in settings.model_fields_set:
            _check_inputs(settings)
            broker = stack.enter_context(EmbeddedBroker(data_dir=settings.data_dir)).url
            settings = settings.model_copy(update={"broker": broker})
            environment |= {
                "STREAMAPP_BROKER": broker,
                "STREAMAPP_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
            }
            if has_chain := not settings.flows:
                await send_reviews(settings)
                environment["STREAMAPP_FLOWS"] = json.dumps(FLOWS)
        else:
            settings = _apart(settings)
            environment |= {"STREAMAPP_APP_ID": OWN_NAME, "STREAMAPP_TOPIC_PREFIX": OWN_NAME}
        progress.update(task, description="starting the worker")
        url = web_url(settings.web_host, port)
        worker = await stack.enter_async_context(running_worker(environment, url=url))
        outcomes = await _unless(
            _outcomes(settings, worker, progress), stop.wait(), worker.wait_ended()
        )
        progress.stop()
        if outcomes is None:
            raise StreamappError("stopped before all answers came")
        Console().print(answers_table(outcomes))
        failed = [outcome.type for outcome in outcomes if outcome.response is None]
        if failed:
            raise StreamappError(f"no answer for: {', '.join(failed)}")
        if has_chain:
            timeout_s = settings.deadline_s + MARGIN_S
            ends = await _unless(
                chain_ends(settings, timeout_s=timeout_s), stop.wait(), worker.wait_ended()
            )
            if ends is None:
                raise StreamappError("stopped before the chain was through")
            Console().print(chain_table(ends))
        if not leave:
            _say_what_next(settings, worker)
            await _unless(worker.wait_ended(), stop.wait())


def _check_inputs(settings: Settings) -> None:
    """Refuse flows that read what nobody can create on a broker that the demo starts itself.

    Raises:
        ConfigurationError: Their inputs are not ours.
    """
    own = {spec.name for spec in topic_specs(settings)}
    if foreign := {
        name: flow.input for name, flow in settings.flows.items() if flow.input not in own
    }:
        raise ConfigurationError(
            f"the demo would run {', '.join(foreign)}, and its own broker, in memory, has no"
            f" {', '.join(sorted({*foreign.values()}))}: start it where no flow is set"
        )


def _apart(settings: Settings) -> Settings:
    """Return settings whose worker takes nothing of what others have on their broker.

    Raises:
        ConfigurationError: It would run their flows.
    """
    if settings.flows:
        raise ConfigurationError(
            f"the demo would run {', '.join(settings.flows)} over the topics of {settings.broker}:"
            " unset STREAMAPP_BROKER for the embedded broker, or start it where no flow is set"
        )
    return settings.model_copy(update={"app_id": OWN_NAME, "topic_prefix": OWN_NAME})


async def _outcomes(
    settings: Settings, worker: WorkerProcess, progress: Progress
) -> list[SampleOutcome]:
    """Return what became of the samples."""
    await worker.wait_ready(READY_TIMEOUT_S)
    task = progress.task_ids[0]
    progress.update(task, description="waiting for the answers")
    return await answer_samples(
        settings,
        on_outcome=lambda: progress.advance(task),
        timeout_s=settings.deadline_s + MARGIN_S,
    )


async def _unless(work: Awaitable[T], *endings: Awaitable[object]) -> T | None:
    """Return what ``work`` gives, or None where one of ``endings`` came first; cancel the rest."""
    task = asyncio.ensure_future(work)
    tasks = [task, *map(asyncio.ensure_future, endings)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for other in tasks:
            other.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for ended in done:
        ended.result()  # raises where it failed
    return task.result() if task in done else None


def _say_what_next(settings: Settings, worker: WorkerProcess) -> None:
    worker.shows_log = True
    names = {"STREAMAPP_BROKER": settings.broker}
    if settings.app_id == OWN_NAME:
        names |= {"STREAMAPP_APP_ID": OWN_NAME, "STREAMAPP_TOPIC_PREFIX": OWN_NAME}
    named = " ".join(f"{name}={value}" for name, value in names.items())
    for line in (
        f"broker  {settings.broker}",
        f"web     {worker.url}",
        f"send    {named} {own_command()} send FILE.jsonl",
        "Ctrl-C ends it; the worker's log follows.",
    ):
        click.echo(line, err=True)


def _free_port(settings: Settings) -> int:
    """Return the wanted web port, or a free one where it is taken."""
    try:
        return free_port(settings.web_port)
    except ConfigurationError:
        return free_port()


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
