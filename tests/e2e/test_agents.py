"""Workers die under agents; what was finished is neither asked, nor paid, nor done again."""

import asyncio
import contextlib
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stage import Record, Stage
from tests.e2e.test_steps import steps_shown
from tests.support.agent import LATENCY_S
from tests.support.bad_tools import write_prompts
from tests.support.judgement import LATE_CALL_S, Crash
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until

pytestmark = pytest.mark.kafka

PAUSE_S = (3, 6)
#: Longest time that a busy worker takes from a step's end until Kafka has its result, seconds.
STORED_S = 5.0
#: The steps of an agent of a prompt: those of the model, and those of tools.
TURNS, RUNS = (1, 3, 7), (2, 4, 5, 6)
EACH = 2
#: Disturbs two workers until the event is set.
Disturb = Callable[[Stage, asyncio.Event], Coroutine[Any, Any, None]]
#: Few enough that records of one key wait for each other, behind a kill above all.
KEYS = 20


def agents(count: int, *, every: int) -> list[Record]:
    """Return records of agents; one in ``every`` calls eight tools at once, the others one."""
    found = []
    for number in range(count):
        id_ = f"a-{number}"
        fields = {"type": "agent", "id": id_, "cache": False, "fan_out": 1 if number % every else 8}
        found.append(Record(json.dumps(fields).encode(), f"key-{number % KEYS}".encode()))
    return found


def asked(id_: str, hangs_at: int) -> Record:
    """Return a record of the prompt's agent that hangs in one of its steps, once; 0 for none."""
    script: list[dict[str, Any]] = [
        {"calls": calls, "arguments": {"number": id_}, "for_ever": True} for calls in (1, 3, 0)
    ]
    if hangs_at in TURNS:
        script.insert(TURNS.index(hangs_at), {"hang": "headers"})
    text = f"{id_} [[fake:{json.dumps(script)}]]"
    fields = {"type": "generate", "prompt": "desk", "variables": {"question": text}}
    return Record(json.dumps({"id": id_, "cache": False, **fields}).encode(), id_.encode())


async def are_stuck(port: int, hanging: Mapping[str, int]) -> bool:
    """Whether each of the records stands in its step, and all others that have begun are stored."""
    for id_, step in hanging.items():
        shown = await steps_shown(port, id_)
        if [number for number, _, _, outcome in shown if outcome != "done"] != [str(step)]:
            return False
    return True


async def killing(stage: Stage, done: asyncio.Event, *, least: int) -> None:
    """Kill one of the workers every few seconds, and start another in its place."""
    dice = random.Random(7)
    alive, kills = list(stage.workers), 0
    while not done.is_set() or kills < least:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(
                done.wait() if kills >= least else asyncio.Event().wait(), dice.uniform(*PAUSE_S)
            )
        if done.is_set() and kills >= least:
            break
        stage.kill9(alive.pop(0))
        kills += 1
        alive.append(stage.start_worker(processors="tests.support.agent"))


async def freezing(stage: Stage, done: asyncio.Event) -> None:
    """Freeze one of the workers in the middle of agents until the other has answered them."""
    frozen = stage.workers[0]
    await stage.in_flight(4)
    stage.sigstop(frozen)
    await done.wait()
    await stage.verifier.until(lambda: not stage.verifier.missing, 90)
    opened = frozen.log.read_text().count("window.opened")
    frozen.sigcont()
    await stage.verifier.until(
        lambda: frozen.log.read_text().count("window.opened") > opened or not frozen.alive, 90
    )


Run = tuple[tuple[str, str], float, float]


def made_again(
    runs: Iterable[Run], asked: Iterable[Run], crashes: Iterable[Crash]
) -> tuple[int, list[str]]:
    """Return how many runs were cut off by a crash and made again, and which had been finished.

    Args:
        runs: Id and part of what ran, when it began, and when it had ended by itself.
        asked: The calls of the model, likewise: the next one of a record begins once Kafka has
            what came before.
        crashes: What may have cut a run off, or its result before Kafka had it.
    """
    begun: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for (id_, part), begun_s, _ in asked:
        begun[id_].append((begun_s, part))
    spans: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for what, begun_s, ended_s in sorted(runs, key=lambda run: run[1]):
        spans[what].append((begun_s, ended_s))
    repeats, faults, crashes = 0, [], list(crashes)
    for (id_, part), found in spans.items():
        for begun_s, ended_s in found[:-1]:
            repeats += 1
            later = (at_s for at_s, other in begun[id_] if at_s >= ended_s and other != part)
            stored_s = min([ended_s + STORED_S, *later])
            # What was sent right before a crash reaches a busy provider a little later.
            if not any(begun_s <= c.to_s + LATE_CALL_S and c.from_s <= stored_s for c in crashes):
                faults.append(f"made again although it was finished: {id_} {part}")
    return repeats, faults


async def run(
    kafka: KafkaBroker,
    tmp_path: Path,
    *,
    records: int,
    rate_per_s: float,
    every: int = 5,
    disturb: Disturb,
) -> str:
    """Disturb workers under agents, and judge; returns the figures in a line."""
    log = tmp_path / "ran"
    async with Stage(kafka, tmp_path) as stage:
        stage.extra = {"AGENT_LOG": str(log)}
        await stage.open()
        workers = [stage.start_worker(processors="tests.support.agent") for _ in range(2)]
        await asyncio.gather(*(worker.wait_ready() for worker in workers))
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(disturb(stage, done))
            await stage.produce(agents(records, every=every), rate_per_s=rate_per_s)
            done.set()
        report = await stage.settle(records)
        outcomes = {
            id_: json.loads(found[0].value or b"{}")
            for id_, found in stage.verifier.outcomes.items()
        }
        asked = [
            ((call.message.split(" ")[0], call.body_hash), call.at_s, call.at_s + LATENCY_S)
            for call in stage.provider.calls
        ]
        lines = [line.split() for line in log.read_text().splitlines()]
        ran = [((id_, part), float(begun), float(end)) for id_, part, begun, end in lines]
        crashes = list(stage.crashes)
    asked_again, repaid = made_again(asked, asked, crashes)
    ran_again, rerun = made_again(ran, asked, crashes)

    faults = [*report.missing, *report.unequal, *report.overcommitted, *report.unordered]
    assert faults == [], report
    assert not report.dead
    assert repaid == []
    assert rerun == []
    assert len(asked) - asked_again == 3 * records
    assert len(ran) - ran_again == sum(1 if number % every else 8 for number in range(records))
    assert {outcome["attempts"] for outcome in outcomes.values()} == {3}
    assert len({o["usage"]["output_tokens"] for o in outcomes.values()}) <= 4
    return (
        f"{records} agents, {len(crashes)} kills: {report.responses} responses,"
        f" {report.repeats} repeated and equal; {len(asked)} calls of the model of which"
        f" {asked_again} were cut off, {len(ran)} runs of tools of which {ran_again} were"
    )


@pytest.mark.timeout(300)
async def test_agents_go_on_where_a_worker_died(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Each is answered once in content; no finished call is made, and no finished tool run, again.

    Records of one key are answered in their order; attempts and tokens are those of every step,
    once.
    """
    await run(kafka, tmp_path, records=60, rate_per_s=12, disturb=partial(killing, least=2))


@pytest.mark.timeout(300)
async def test_agents_go_on_behind_a_frozen_worker(kafka: KafkaBroker, tmp_path: Path) -> None:
    """One that comes to itself again behind its session makes no step more, and answers nothing."""
    await run(kafka, tmp_path, records=40, rate_per_s=12, disturb=freezing)


@pytest.mark.timeout(300)
async def test_an_agent_of_a_prompt_goes_on_where_it_was_killed(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Killed in each of its steps in turn, it runs no finished one again: of no kind of tool.

    The model calls one tool, then three at once, of which one is an MCP server's; then it answers.
    """
    log, directory = tmp_path / "ran", tmp_path / "worker-0"
    at = {f"h{step}-{n}": step for step in (0, *TURNS, *RUNS) for n in range(EACH)}
    hanging = {id_: step for id_, step in at.items() if step}
    write_prompts(directory / "prompts", desk="order_status, orders.*, shop.*")
    (directory / "streamapp.toml").write_text(
        f"""
        [mcp.orders]
        command = ["{sys.executable}", "-m", "tests.support.desk"]
        env = ["PYTHONPATH", "CHAIN_LOG"]
        allow = ["*"]
        timeout_s = 600
        """
    )
    async with Stage(kafka, tmp_path) as stage:
        stage.extra = {"CHAIN_LOG": str(log)}
        await stage.open()
        worker = await stage.ready_worker(tools="tests.support.desk")
        await stage.produce(asked(*one) for one in at.items())
        await until(lambda: are_stuck(worker.port, hanging), 60, state=worker.tail)
        await stage.verifier.until(lambda: len(stage.verifier.outcomes) == EACH, 60)

        stage.kill9(worker)
        worker.start()
        report = await stage.settle(len(at))
        ran = Counter(log.read_text().split())
        calls = Counter(call.message.split(" ")[0] for call in stage.provider.calls)

    assert [*report.missing, *report.dead, *report.unequal, *report.overcommitted] == []
    assert ran == {f"{id_}:{step}": 1 for id_ in at for step in RUNS}
    assert calls == {id_: 3 + (step in TURNS) for id_, step in at.items()}
    assert not worker.has_logged("steps.diverged")


@pytest.mark.chaos
@pytest.mark.timeout(900)
@pytest.mark.parametrize("every", [5, 1], ids=["some fan out", "all fan out"])
async def test_agents_go_on_in_long_chaos(
    kafka: KafkaBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str], every: int
) -> None:
    """The same over 500 records, and over 500 of which each calls eight tools at once."""
    figures = await run(
        kafka, tmp_path, records=500, rate_per_s=8, every=every, disturb=partial(killing, least=10)
    )

    with capsys.disabled():
        sys.stdout.write(f"\n{figures}\n")
