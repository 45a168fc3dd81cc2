"""`send`, `tail`, `check` and `flows` against the embedded broker."""

import asyncio
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from streamapp.cli import main
from streamapp.cli.kafka import producing, reading
from streamapp.settings import Settings
from streamapp.streaming.broker.embedded import EmbeddedBroker
from streamapp.streaming.broker.topics import (
    TopicSpec,
    answers_changelog,
    create_topics,
    ensure_topics,
    partition_counts,
    topic_specs,
)
from tests.support.process import free_port

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(60)]


@pytest.fixture
def settings() -> Iterator[Settings]:
    """A broker of the test's own, without a topic."""
    with EmbeddedBroker() as broker:
        yield Settings(_env_file=None, broker=broker.url)


def run(settings: Settings, *arguments: str, **environment: str) -> Result:
    own = {"STREAMAPP_BROKER": settings.broker, "STREAMAPP_WEB_PORT": str(free_port())}
    env = own | environment
    return CliRunner().invoke(main, arguments, env=env)


def topics_of(settings: Settings) -> dict[str, int]:
    names = [spec.name for spec in topic_specs(settings)]
    return asyncio.run(partition_counts(settings, names))


async def produce(settings: Settings, topic: str, *values: bytes) -> None:
    async with producing(settings) as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


def test_send_creates_topics_keeps_bytes_and_the_order_of_each_key(
    settings: Settings, tmp_path: Path
) -> None:
    """Every line arrives once, unchanged, under its key, in the order of the file."""
    lines = [
        json.dumps({"type": "embed", "input": f"é {n}", "id": f"r-{n}", "metadata": {"k": n % 7}})
        for n in range(3_000)
    ]
    file = tmp_path / "records.jsonl"
    file.write_text("\n".join(lines))

    result = run(settings, "send", str(file), "--key", "metadata.k", "--json")

    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["sent"], summary["topic"]) == (3_000, "llm.requests")
    assert topics_of(settings)["llm.requests"] == settings.partitions
    assert asyncio.run(_sent(settings, 3_000)) == {
        str(key).encode(): [line.encode() for line in lines[key::7]] for key in range(7)
    }


async def _sent(
    settings: Settings, count: int, topic: str = "llm.requests"
) -> dict[bytes, list[bytes]]:
    found = defaultdict(list)
    async with reading(settings, [topic], from_beginning=True) as stream:
        async for message in stream:
            found[message.key].append(message.value)
            count -= 1
            if count == 0:
                return dict(found)
    return {}


def test_send_without_a_key_keys_requests_by_their_ids(settings: Settings) -> None:
    """Equal ids come to one partition; the records of another topic have no key by themselves."""
    named, nameless = '{"type":"embed","input":"a","id":"r-é"}', '{"type":"embed","input":"b"}'
    again = named.replace('"a"', '"c"')
    lines = "\n".join([named, nameless, again])
    env = {"STREAMAPP_BROKER": settings.broker}

    sent = CliRunner().invoke(main, ["send", "-", "--no-check"], input=lines, env=env)
    other = CliRunner().invoke(
        main, ["send", "-", "--topic", "shop.orders", "--no-check"], input=named, env=env
    )

    assert (sent.exit_code, other.exit_code) == (0, 0), sent.stderr + other.stderr
    assert asyncio.run(_sent(settings, 3)) == {
        "r-é".encode(): [named.encode(), again.encode()],
        None: [nameless.encode()],
    }
    assert asyncio.run(_sent(settings, 1, "shop.orders")) == {None: [named.encode()]}


def test_send_without_check_sends_what_it_is_given(settings: Settings) -> None:
    """Who tests dead letters can send anything; a missing key field means no key."""
    env = {"STREAMAPP_BROKER": settings.broker}

    result = CliRunner().invoke(
        main, ["send", "-", "--no-check", "--key", "id"], input="nope\n", env=env
    )

    assert result.exit_code == 0, result.stderr
    assert asyncio.run(_sent(settings, 1)) == {None: [b"nope"]}
    assert "sent 1 record to llm.requests" in result.stderr


def test_tail_prints_from_the_beginning_up_to_max(settings: Settings) -> None:
    """What was written before is shown, no more than asked for, and the command ends."""
    asyncio.run(ensure_topics(settings))
    values = [json.dumps({"id": f"r-{n}"}).encode() for n in range(5)]
    asyncio.run(produce(settings, "llm.responses", *values))

    result = run(settings, "tail", "--from-beginning", "--max", "5", "--json")

    assert result.exit_code == 0, result.stderr
    assert sorted(result.stdout.encode().splitlines()) == sorted(values)


def test_tail_with_exit_prints_what_is_there_and_ends(settings: Settings) -> None:
    """All of it, from the beginning, also with nothing there; half of no answer is left out."""
    nothing = run(settings, "tail", "--exit")
    asyncio.run(ensure_topics(settings))
    values = [json.dumps({"id": f"r-{n}", "output": "x" * 999}).encode() for n in range(30)]
    asyncio.run(produce(settings, "llm.responses", *values))

    result = run(settings, "tail", "--exit", "--json")
    some = run(settings, "tail", "--exit", "--max", "3")

    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert "there is no topic llm.responses" in nothing.stderr
    assert (result.exit_code, some.exit_code) == (0, 0), result.stderr + some.stderr
    assert sorted(result.stdout.encode().splitlines()) == sorted(values)
    assert [f'"{"x" * 999}"' in line for line in some.stdout.splitlines()] == [True] * 3


def test_send_with_wait_ends_when_every_record_has_its_outcome(
    settings: Settings, tmp_path: Path
) -> None:
    """It counts answers and dead letters of its own records alone, and fails for the latter."""
    file = tmp_path / "records.jsonl"
    records = [{"type": "embed", "input": "x", "id": f"r-{n}"} for n in range(3)]
    file.write_text("\n".join(map(json.dumps, [*records, {"type": "embed", "input": "no id"}])))
    asyncio.run(ensure_topics(settings))
    command = [sys.executable, "-m", "streamapp", "send", str(file), "--wait", "--json"]

    async def answer() -> None:
        """Play the worker."""
        async with (
            reading(settings, ["llm.requests"], from_beginning=True) as stream,
            producing(settings) as producer,
        ):
            for number in range(4):
                message = await stream.getone()
                own = f"{message.topic}-{message.partition}-{message.offset}"
                id = json.loads(message.value).get("id", own)
                await producer.send_and_wait("llm.responses", b'{"id": "another"}')
                if number:
                    await producer.send_and_wait("llm.responses", json.dumps({"id": id}).encode())
                else:
                    headers = [
                        ("streamapp.request.id", id.encode()),
                        ("streamapp.error.kind", b"rejected"),
                    ]
                    await producer.send_and_wait("llm.requests-dlt", b"{}", headers=headers)

    with subprocess.Popen(
        command,
        env={"STREAMAPP_BROKER": settings.broker},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as sending:
        try:
            asyncio.run(answer())
            out, told = sending.communicate(timeout=30)
        finally:
            sending.kill()

    assert sending.returncode == 1, told
    assert json.loads(out)["outcomes"] == {"ok": 3, "rejected": 1}
    assert "1 record not answered" in told


def test_send_waits_no_longer_than_it_is_told(settings: Settings, tmp_path: Path) -> None:
    """Where no worker runs it ends with what is left, and says where those records are."""
    file = tmp_path / "records.jsonl"
    file.write_text('{"type": "embed", "input": "x"}\n' * 2)

    result = run(settings, "send", str(file), "--wait", "--timeout", "0.5", "--json")

    assert result.exit_code == 1
    summary = json.loads(result.stdout)
    assert (summary["outcomes"], summary["repeated"], summary["left"]) == ({}, 0, 2)
    assert summary["waited_s"] >= 0.5
    assert "2 records without an outcome after 0.5 s" in result.stderr


def test_send_says_what_is_sent_before_it_waits(settings: Settings, tmp_path: Path) -> None:
    """The time of sending is not that of the answers, and nobody looks at nothing meanwhile."""
    file = tmp_path / "records.jsonl"
    file.write_text('{"type": "embed", "input": "x", "id": "r-1"}\n')
    asyncio.run(ensure_topics(settings))

    with subprocess.Popen(
        [sys.executable, "-m", "streamapp", "send", str(file), "--wait"],
        env={"STREAMAPP_BROKER": settings.broker},
        stderr=subprocess.PIPE,
        text=True,
    ) as sending:
        try:
            assert sending.stderr is not None
            first = sending.stderr.readline()
            asyncio.run(produce(settings, "llm.responses", b'{"id": "r-1"}'))
            rest = sending.stderr.read()
        finally:
            sending.kill()

    assert re.fullmatch(r"sent 1 record to llm\.requests in [\d.]+ s\n", first)
    assert re.fullmatch(r"after [\d.]+ s more: 1 outcome: 1 ok\n", rest)


def test_tail_waits_for_a_topic_that_does_not_exist_yet(settings: Settings) -> None:
    """Started before the first worker it shows all that comes, and creates nothing itself."""
    tail = subprocess.Popen(
        [sys.executable, "-m", "streamapp", "tail", "--max", "1", "--json"],
        env={"STREAMAPP_BROKER": settings.broker},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert tail.stderr is not None
        waiting = tail.stderr.readline()
        before = topics_of(settings)
        asyncio.run(ensure_topics(settings))
        asyncio.run(produce(settings, "llm.responses", b'{"id":"r-1"}'))
        out, _ = tail.communicate(timeout=30)
    finally:
        tail.kill()

    assert "waiting for the topic llm.responses: a worker creates it" in waiting
    assert before == {}
    assert (tail.returncode, out) == (0, '{"id":"r-1"}\n')


def test_tail_says_that_nobody_creates_a_topic_of_another_name(settings: Settings) -> None:
    """A slip is not waited for in the belief that a worker is late."""
    tail = subprocess.Popen(
        [sys.executable, "-m", "streamapp", "tail", "--topic", "nothere"],
        env={"STREAMAPP_BROKER": settings.broker},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert tail.stderr is not None
        waiting = tail.stderr.readline()
    finally:
        tail.kill()
        tail.communicate()

    assert waiting == (
        "waiting for the topic nothere: no worker with these settings creates it, is that its"
        " name?\n"
    )


def test_check_names_wrong_partition_counts_and_the_missing_prompts(settings: Settings) -> None:
    """Both are found in one go, and the exit code is 2."""
    asyncio.run(ensure_topics(settings.model_copy(update={"partitions": 3})))

    result = run(settings, "check", STREAMAPP_PROMPTS_DIR="nowhere")

    assert result.exit_code == 2
    assert "WRONG topics: topic llm.requests has 3 partitions, not 8" in result.stdout
    assert "WRONG prompts: STREAMAPP_PROMPTS_DIR: there is no directory" in result.stdout


def test_check_and_worker_go_on_with_more_partitions_than_are_set(settings: Settings) -> None:
    """All of them are answered: a deployment is not stopped, and both say what to set."""
    asyncio.run(ensure_topics(settings))

    with capture_logs() as lines:
        asyncio.run(ensure_topics(settings.model_copy(update={"partitions": 4})))
    result = run(settings, "check", STREAMAPP_PARTITIONS="4")

    told = (
        "topic llm.requests has 8 partitions, not 4: set STREAMAPP_PARTITIONS=8, by which topics"
        " are made"
    )
    assert result.exit_code == 0, result.output
    assert f"note  topics: {told}\n" in result.stdout
    assert [(line["event"], line["hint"]) for line in lines] == [
        ("topics.partitions_not_set", told)
    ]


def test_check_names_missing_examples_of_prompts_on_the_topic(
    settings: Settings, tmp_path: Path
) -> None:
    """A file or a set that a version in use names, and neither what is there nor old versions."""
    directory = tmp_path / "prompts"
    directory.mkdir()
    (directory / "there.jsonl").write_text('{"variables": {"x": "1"}, "output": "2"}\n')
    for name, source in (
        ("old", "f: gone"),
        ("file", "f: gone"),
        ("there", "f: there"),
        ("set", "s"),
    ):
        examples = f"file: {source[3:]}.jsonl" if source[0] == "f" else "topic_set: shots"
        prompt = tmp_path / f"{name}.md"
        prompt.write_text(f"---\nexamples: {{{examples}}}\n---\n{{{{ x }}}}")
        assert run(settings, "prompts", "publish", str(prompt)).exit_code == 0
    (tmp_path / "old.md").write_text("{{ x }}")
    assert run(settings, "prompts", "publish", str(tmp_path / "old.md")).exit_code == 0
    assert run(settings, "prompts", "label", "old", "production", "2").exit_code == 0

    result = run(settings, "check", STREAMAPP_PROMPTS_DIR=str(directory))

    wrong = [line for line in result.stdout.splitlines() if line.startswith("WRONG")]
    assert (result.exit_code, wrong) == (
        2,
        [
            "WRONG prompts: prompt file:1 (latest, production) on the topic: there is no file"
            f" '{directory}/gone.jsonl'",
            "WRONG prompts: prompt set:1 (latest, production) on the topic: topic llm.examples has"
            " no set 'shots'",
        ],
    )


def test_flows_are_listed_before_and_after_the_first_record(settings: Settings) -> None:
    """The embedded broker tells their lag, too."""
    nothing = run(settings, "flows", "--seconds", "0", "--json")
    asyncio.run(ensure_topics(settings))
    asyncio.run(produce(settings, "llm.requests", b"{}", b"{}"))

    listed = run(settings, "flows", "--seconds", "0", "--json")

    assert json.loads(nothing.stdout)["partitions"] == 0
    found = json.loads(listed.stdout)
    assert (found["name"], found["input"], found["lag"]) == ("requests", "llm.requests", 2)
    asked = run(settings, "flows", "--seconds", "0", "--url", "http://127.0.0.1:1")
    assert "no worker answers at http://127.0.0.1:1 " in asked.stderr


def test_check_changes_nothing(settings: Settings) -> None:
    """Missing topics are told, not created: that is the worker's business."""
    result = run(settings, "check")

    assert result.exit_code == 0, result.stdout
    assert "a worker will create llm.requests" in result.stdout
    assert "REPLICATION_FACTOR" not in result.stdout
    assert topics_of(settings) == {}


def test_check_notes_more_replicas_than_brokers(settings: Settings) -> None:
    """Apache Kafka creates no such topic; others do, so it is no error."""
    result = run(settings, "check", STREAMAPP_REPLICATION_FACTOR="3")

    assert result.exit_code == 0, result.stdout
    told = "STREAMAPP_REPLICATION_FACTOR=3, and the cluster has 1 broker: Kafka refuses such"
    assert told in " ".join(result.stdout.split())


def test_check_names_a_missing_input_beside_what_else_is_wrong(
    settings: Settings, tmp_path: Path
) -> None:
    """Topics and prompts of flows that cannot be built are looked at all the same."""
    file = tmp_path / "streamapp.toml"
    file.write_text(
        '[flows.a]\ninput = "none.a"\noutput = "b"\ntype = "summarize"\nprompt = "sumarize"\n'
        'fields = { text = "{{ value.body", max_wrds = 5 }\n'
    )

    result = run(settings, "check", STREAMAPP_CONFIG=str(file))

    wrong = [line for line in result.stdout.splitlines() if line.startswith("WRONG")]
    assert result.exit_code == 2
    for problem in ("max_wrds", "there is no prompt 'sumarize'", "there is no topic none.a"):
        assert any(problem in line for line in wrong), (problem, wrong)


@pytest.mark.parametrize(
    ("input", "ledger", "code", "told"),
    [
        (3, 2, 0, "has 3 partitions and its ledger 2: records in partitions 2 to 2 wait"),
        (2, 3, 2, "has 2 partitions, fewer than its ledger's changelog"),
        (2, 2, 0, ""),
    ],
    ids=["grown", "made anew", "as it was"],
)
def test_check_compares_the_input_of_a_flow_with_its_ledger(
    settings: Settings, tmp_path: Path, input: int, ledger: int, code: int, told: str
) -> None:
    """Partitions that nobody reads are told; a start mends that, and is not to be stopped."""
    file = tmp_path / "streamapp.toml"
    file.write_text(
        '[flows.a]\ninput = "in"\noutput = "out"\ntype = "summarize"\n'
        'fields = { text = "{{ value.body }}" }\n'
    )
    specs = [TopicSpec("in", input), TopicSpec(answers_changelog(settings, "a"), ledger)]
    asyncio.run(create_topics(settings, specs))

    result = run(settings, "check", STREAMAPP_CONFIG=str(file))

    assert result.exit_code == code, result.output
    lines = [line for line in result.stdout.splitlines() if "[flows.a] input" in line]
    assert [told in line for line in lines] == ([True] if told else [])


def test_check_looks_at_a_broker_that_has_only_topics_of_others(settings: Settings) -> None:
    """A Kafka in use before the first worker: its topics are nothing to look at."""
    asyncio.run(ensure_topics(settings.model_copy(update={"topic_prefix": "others"})))

    result = run(settings, "check", STREAMAPP_APP_ID="mine", STREAMAPP_TOPIC_PREFIX="mine")

    assert result.exit_code == 0, result.output
    assert "a worker will create mine.requests" in result.stdout
    assert "rights: read and write the topics" in result.stdout


def test_check_says_which_topic_notes_that_a_flow_has_begun(
    settings: Settings, tmp_path: Path
) -> None:
    """Only a flow that begins at the end needs it."""
    flow = (
        '[flows.a]\ninput = "llm.responses"\noutput = "b"\ntype = "summarize"\nfrom = "{}"\n'
        'fields = {{ text = "{{{{ value }}}}" }}\n'
    )
    asyncio.run(ensure_topics(settings))

    def told(start: str) -> bool:
        file = tmp_path / f"{start}.toml"
        file.write_text(flow.format(start))
        result = run(settings, "check", STREAMAPP_CONFIG=str(file))
        assert result.exit_code == 0, result.stdout
        return "a worker will create llm.flows where it may" in " ".join(result.stdout.split())

    assert told("latest")
    assert not told("earliest")


@pytest.mark.parametrize(
    ("start", "becomes"), [("latest", "passed over"), ("earliest", "answered and paid for")]
)
def test_check_notes_what_becomes_of_records_before_a_new_flow(
    settings: Settings, tmp_path: Path, start: str, becomes: str
) -> None:
    """They are shown as its lag until it begins; a group of another name pays for all once more."""
    file = tmp_path / "streamapp.toml"
    file.write_text(
        f'[flows.a]\ninput = "llm.responses"\noutput = "b"\ntype = "summarize"\nfrom = "{start}"\n'
        'fields = { text = "{{ value }}" }\n'
    )

    async def fill() -> None:
        await ensure_topics(settings)
        await produce(settings, "llm.responses", b"1", b"2", b"3")

    asyncio.run(fill())
    result = run(settings, "check", STREAMAPP_CONFIG=str(file))

    said = f"[flows.a] has not begun: what stands in llm.responses is {becomes}, 3 records"
    assert said in result.stdout
    assert result.exit_code == 0, result.stdout


def test_a_budget_that_is_spent_before_its_first_call_is_noted(
    settings: Settings, tmp_path: Path
) -> None:
    """It counts what workers with another budget of its kind have written."""
    file = tmp_path / "streamapp.toml"
    file.write_text('[budgets.h]\nlimit_records = 20\naction = "hold"\nperiod = "month"\n')
    month = f"{datetime.now(UTC):%Y-%m}"
    written = json.dumps([month, "all", "w"]).encode(), b'{"records":60,"tokens":0,"usd":"0"}'

    async def spend() -> None:
        await ensure_topics(settings)
        async with producing(settings) as producer:
            await producer.send_and_wait("llm.spend", written[1], key=written[0])

    asyncio.run(spend())
    result = run(settings, "check", STREAMAPP_CONFIG=str(file))

    [note] = [line for line in result.stdout.splitlines() if line.startswith("note  budgets")]
    assert f"budgets.h: in {month} 60 of 20 records are spent already" in note
    assert result.exit_code == 0, result.stdout

    record = tmp_path / "record.jsonl"
    record.write_text('{"id":"s","type":"summarize","text":"Kafka is a log."}')
    result = run(settings, "explain", str(record), STREAMAPP_CONFIG=str(file))
    assert "budgets.h: in " in result.stderr, result.stderr
