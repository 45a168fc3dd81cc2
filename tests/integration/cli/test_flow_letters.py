"""Dead letters of flows, for who runs flows alone and looks without naming one."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from streamapp.cli import main
from streamapp.cli.flow_letters import tell_of_flows
from streamapp.cli.kafka import producing
from streamapp.settings import Settings
from streamapp.settings.flows import REQUESTS
from streamapp.streaming.broker.embedded import EmbeddedBroker
from streamapp.streaming.broker.topics import TopicSpec, create_topics, ensure_topics
from tests.support.dead_letters import headers_of, request
from tests.support.kafka import KafkaBroker

pytestmark = pytest.mark.timeout(60)

FIELDS = {"type": "summarize", "fields": {"text": "{{ value.body }}"}}
FLOWS = {
    name: {"input": f"shop.{name}", "output": f"shop.{name}.done", **FIELDS}
    for name in ("triage", "labels", "quiet", "new")
}
DEAD = [("triage", "t-1"), ("triage", "t-2"), ("labels", "l-1")]
TOLD = (
    "the flow triage has 2 dead letters, sent again or not: --flow triage",
    "the flow labels has 1 dead letter, sent again or not: --flow labels",
)


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """A broker with dead letters of two flows, and none of the third and of requests."""
    with EmbeddedBroker() as broker:
        found = Settings(_env_file=None, broker=broker.url)
        asyncio.run(_fill(found))
        yield found


async def _fill(settings: Settings) -> None:
    await ensure_topics(settings)
    await create_topics(settings, [TopicSpec(f"shop.{n}-dlt", 2) for n in list(FLOWS)[:3]])
    async with producing(settings) as producer:
        for offset, (flow, id) in enumerate(DEAD):
            headers = headers_of(id, topic=f"shop.{flow}", offset=offset)
            await producer.send_and_wait(f"shop.{flow}-dlt", request(id), headers=headers)


def run(settings: Settings, *arguments: str, **environment: str) -> Result:
    env = {"STREAMAPP_BROKER": settings.broker, "STREAMAPP_FLOWS": json.dumps(FLOWS)}
    return CliRunner().invoke(main, arguments, env=env | environment)


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["list", "--since", "1h"], "0 dead letters"),
        (["list", "--json"], "0 dead letters"),
        (["replay", "--kind", "invalid", "--since", "2h", "--dry-run"], "no dead letter fits"),
        (["replay", "--all"], "no dead letter fits"),
        (["replay", "t-1"], "there is no dead letter of ours"),
        (["show", "t-1"], "there is no dead letter of ours at t-1"),
        (["edit", "t-1"], "there is no dead letter of a record 't-1'"),
        (["edit", "0@0"], "there is no dead letter of ours"),
    ],
)
def test_who_names_no_flow_is_told_which_have_some(
    settings: Settings, arguments: list[str], says: str
) -> None:
    """Nothing found of requests is not nothing: who runs flows alone would go to sleep again."""
    result = run(settings, "dead-letters", *arguments)

    assert says in result.stderr
    assert [line for line in result.stderr.splitlines() if "--flow" in line] == list(TOLD)
    assert result.stdout == ""


@pytest.mark.embedded
def test_machines_read_it_in_the_summary_of_a_replay(settings: Settings) -> None:
    """Which flows have how many; nothing where one is meant."""
    both = [
        run(settings, "dead-letters", "replay", "--all", "--dry-run", "--json", *flow)
        for flow in ([], ["--flow", "triage"])
    ]

    assert [json.loads(result.stdout)["flows"] for result in both] == [
        {"triage": 2, "labels": 1},
        None,
    ]
    assert json.loads(both[1].stdout)["would_send"] == 2
    assert "--flow" not in both[1].stderr


@pytest.mark.embedded
@pytest.mark.parametrize("leave", [["--exit"], ["--from-beginning", "--max", "3"]], ids=" ".join)
def test_tail_follows_the_dead_letters_of_flows_too(settings: Settings, leave: list[str]) -> None:
    """What fails now is shown, whatever topic it was read from; a topic to come is named."""
    result = run(settings, "tail", "dead-letters", "--json", *leave)

    found = sorted((one["topic"], one["id"]) for one in map(json.loads, result.stdout.splitlines()))
    assert found == [("shop.labels", "l-1"), ("shop.triage", "t-1"), ("shop.triage", "t-2")]
    assert "there is no topic shop.new-dlt" in result.stderr


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("arguments", "is_told"), [(["tail", "--exit"], True), (["tail", "usage", "--exit"], False)]
)
def test_tail_of_no_answers_says_where_those_of_flows_are(
    settings: Settings, arguments: list[str], is_told: bool
) -> None:
    """Nobody waits at the topic of request records for what a flow writes to its own."""
    told = run(settings, *arguments).stderr

    line = "the flow triage writes to another topic: --topic shop.triage.done"
    assert (line in told.splitlines()) is is_told


@pytest.mark.embedded
def test_tail_that_follows_says_where_answers_of_flows_are(settings: Settings) -> None:
    """Before it waits: it would for ever."""
    env = {"STREAMAPP_BROKER": settings.broker, "STREAMAPP_FLOWS": json.dumps(FLOWS)}
    command = [sys.executable, "-m", "streamapp", "tail"]
    with subprocess.Popen(
        command, env=os.environ | env, stderr=subprocess.PIPE, text=True
    ) as following:
        assert following.stderr is not None
        told = following.stderr.readline()
        following.send_signal(signal.SIGINT)

    assert told == "the flow triage writes to another topic: --topic shop.triage.done\n"


@pytest.mark.embedded
@pytest.mark.parametrize(
    "arguments", [["dead-letters", "list"], ["tail", "dead-letters", "--exit"]]
)
def test_flows_that_cannot_be_known_are_not_passed_over(
    settings: Settings, arguments: list[str]
) -> None:
    """A module that is not there may have flows: that nobody looked is said, and the rest shown."""
    result = run(settings, *arguments, STREAMAPP_PROCESSORS="not_there")

    assert result.exit_code == 0
    assert "the dead letters of flows " in result.stderr
    assert "not_there" in result.stderr


@pytest.mark.kafka
@pytest.mark.timeout(120)
async def test_only_what_was_written_since_then_is_told(kafka: KafkaBroker) -> None:
    """A look at the last minutes is not answered with all that a topic keeps."""
    name = f"flow-{uuid4().hex[:8]}"
    flows = {name: {"input": name, "output": f"{name}.done", **FIELDS}}
    settings = Settings(_env_file=None, broker=kafka.url, flows=flows)
    await create_topics(settings, [TopicSpec(f"{name}-dlt", 1)])
    async with producing(settings) as producer:
        for seconds in (100, 200, 300):
            await producer.send_and_wait(f"{name}-dlt", b"", timestamp_ms=seconds * 1000)

    told = [await tell_of_flows(settings, REQUESTS, since=since) for since in (None, 150, 400)]

    assert told == [{name: 3}, {name: 2}, {}]
