"""`streamapp demo`, `broker` and `worker` as processes."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from streamapp.cli.demo_chain import FLOWS, reviews
from streamapp.settings import Settings
from streamapp.streaming.broker.embedded import EmbeddedBroker
from streamapp.streaming.broker.topics import ensure_topics
from tests.support.fakellm import FakeLLM
from tests.support.mounted import small_disk
from tests.support.process import ChildProcess, free_port
from tests.support.waiting import until

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(180)]

TYPES = (
    "generate", "chat", "summarize", "classify", "extract", "translate", "embed", "demo-agent",
)  # fmt: skip


def command(tmp_path: Path, *arguments: str, **environment: str) -> ChildProcess:
    env = {**os.environ, "STREAMAPP_WEB_PORT": str(free_port()), "COLUMNS": "120", **environment}
    module = [sys.executable, "-m", *(() if arguments[0] == "faust" else ("streamapp",))]
    return ChildProcess([*module, *arguments], log=tmp_path / "log", env=env, cwd=tmp_path)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """The data directory of an earlier start, where no file can be written any more."""
    folder = tmp_path / "data"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        if os.geteuid() == 0:  # whom no mode stops
            stack.enter_context(small_disk(folder))
        (folder / "v1" / "tables").mkdir(parents=True)
        if os.geteuid() == 0:
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        else:
            folder.chmod(0o500)
            stack.callback(folder.chmod, 0o700)
        yield folder


async def ended(process: ChildProcess) -> tuple[int, str]:
    """Start it; return exit code and output."""
    process.start()
    try:
        code = await process.wait(150)
        return code, process.log.read_text()
    finally:
        process.kill9()


async def status(url: str) -> int:
    try:
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            return response.status
    except aiohttp.ClientError:
        return 0


async def is_ready(url: str) -> bool:
    return await status(f"{url}/readyz") == 200


def listens(url: str) -> bool:
    with socket.socket() as probe:
        parts = urlsplit(url)
        return probe.connect_ex((parts.hostname or "", parts.port or 0)) == 0


async def test_demo_with_exit_answers_every_type(tmp_path: Path) -> None:
    """One command: exit 0 and a row for each record type, answered by the offline provider."""
    code, output = await ended(command(tmp_path, "demo", "--exit"))

    assert code == 0, output
    assert [type for type in TYPES if not re.search(rf"│ {type} .*offline", output)] == []


async def test_demo_asks_the_provider_of_the_environment(tmp_path: Path) -> None:
    """With an OpenAI-compatible server configured every answer is its, one call each.

    It translates all reviews alike: each further flow of the chain asks it once.
    """
    async with FakeLLM() as provider:
        code, output = await ended(
            command(
                tmp_path,
                *("demo", "--exit"),
                OPENAI_BASE_URL=provider.base_url,
                OPENAI_API_KEY="sk-test",
                STREAMAPP_MODEL="model-1",
            )
        )
        calls = provider.calls

    assert code == 0, output
    assert [type for type in TYPES if not re.search(rf"│ {type} .*openai", output)] == []
    assert len(calls) == len(TYPES) + len(reviews()) + len(FLOWS) - 1


async def test_demo_leaves_what_others_have_on_their_broker_alone(tmp_path: Path) -> None:
    """On a broker of one's own it answers its samples, and no record that waits for a worker."""
    with EmbeddedBroker(data_dir=tmp_path) as broker:
        settings = Settings(_env_file=None, broker=broker.url)
        await ensure_topics(settings)
        bootstrap = broker.url.removeprefix("kafka://")
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            record = b'{"id":"a","type":"summarize","text":"a text"}'
            await producer.send_and_wait(settings.topic("requests"), record, key=b"a")
        code, output = await ended(command(tmp_path, "demo", "--exit", STREAMAPP_BROKER=broker.url))
        responses = settings.topic("responses")
        async with AIOKafkaConsumer(responses, bootstrap_servers=bootstrap) as consumer:
            ends = await consumer.end_offsets(list(consumer.assignment()))

    assert code == 0, output
    assert [type for type in TYPES if not re.search(rf"│ {type} .*offline", output)] == []
    assert set(ends.values()) == {0}, ends


async def test_demo_runs_no_flow_on_a_broker_of_ones_own(tmp_path: Path) -> None:
    """It would read, and pay for, the flow's whole input once more."""
    environment = {
        "STREAMAPP_BROKER": f"kafka://127.0.0.1:{free_port()}",
        "STREAMAPP_FLOWS": json.dumps(FLOWS),
    }
    code, output = await ended(command(tmp_path, "demo", "--exit", **environment))

    assert code == 2, output
    assert f"the demo would run {', '.join(FLOWS)} over the topics" in " ".join(output.split())


async def test_demo_says_that_its_own_broker_has_no_topics_of_flows(tmp_path: Path) -> None:
    """Nobody could create them there."""
    labels = {"input": "shop.reviews", "output": "labels", "type": "chat", "fields": {"text": "x"}}
    flows = {"labels": labels}

    code, output = await ended(
        command(tmp_path, "demo", "--exit", STREAMAPP_FLOWS=json.dumps(flows))
    )

    assert code == 2, output
    said = "the demo would run labels, and its own broker, in memory, has no shop.reviews: start it"
    assert said in " ".join(output.split())


async def test_demo_stays_up_until_it_is_stopped(tmp_path: Path) -> None:
    """It takes a free port where the wanted one is taken, tells the addresses, ends with 0."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = command(tmp_path, "demo", STREAMAPP_WEB_PORT=str(taken.getsockname()[1]))
        process.start()
        try:
            await until(
                lambda: "Ctrl-C ends it" in process.log.read_text(), 120, state=process.tail
            )
            broker, web = re.findall(r"^(?:broker|web) +(\S+)$", process.log.read_text(), re.M)
            async with aiohttp.ClientSession() as http, http.get(f"{web}/readyz") as response:
                assert (await response.json())["status"] == "ok"
            os.kill(process.pid, signal.SIGINT)  # to it alone, as its children have own groups
            code = await process.wait(60)
        finally:
            process.kill9()

    assert code == 0, process.tail()
    assert not listens(broker)
    assert not listens(web)


async def test_demo_ends_with_the_worker_that_refuses_its_configuration(tmp_path: Path) -> None:
    """What the worker finds wrong is the demo's own message and exit code."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "bad.md").write_text("{{ unclosed")

    code, output = await ended(command(tmp_path, "demo", "--exit"))

    assert code == 2
    assert re.fullmatch(r"streamapp: prompt file prompts/bad\.md, line 1: .*\n", output), output


@pytest.mark.parametrize("by_option", [True, False], ids=["option", "setting"])
async def test_broker_runs_in_the_foreground(tmp_path: Path, by_option: bool) -> None:
    """It says its address, serves it where the other commands look, and ends with 0 on SIGTERM."""
    port = free_port()
    if by_option:
        process = command(tmp_path, "broker", "--port", str(port))
    else:
        process = command(tmp_path, "broker", STREAMAPP_BROKER=f"kafka://localhost:{port}")
    process.start()
    try:
        await until(
            lambda: f"kafka://127.0.0.1:{port}" in process.log.read_text(), 90, state=process.tail
        )
        assert listens(f"kafka://127.0.0.1:{port}")
        os.kill(process.pid, signal.SIGTERM)
        code = await process.wait(30)
    finally:
        process.kill9()

    assert code == 0
    assert not listens(f"kafka://127.0.0.1:{port}")


WORKERS: Sequence[Sequence[str]] = (
    ["worker"],
    ["faust", "-A", "streamapp.app", "worker", "-l", "info"],
)


@pytest.mark.parametrize("worker", WORKERS, ids=["streamapp", "faust"])
async def test_wrong_setting_is_one_line_and_2(tmp_path: Path, worker: Sequence[str]) -> None:
    """Both start commands refuse a wrong setting in the same words."""
    code, output = await ended(command(tmp_path, *worker, STREAMAPP_MAX_IN_FLIGHT="many"))

    assert code == 2
    assert re.fullmatch(r"streamapp: STREAMAPP_MAX_IN_FLIGHT: .*\n", output), output


async def test_unusable_data_directory_is_named(tmp_path: Path) -> None:
    """A directory that cannot be made is found before any broker is asked: exit 2, last line."""
    code, output = await ended(command(tmp_path, "worker", STREAMAPP_DATA_DIR="/dev/null/data"))

    assert code == 2
    assert "Traceback" not in output
    last = "streamapp: STREAMAPP_DATA_DIR: cannot use '/dev/null/data': it is no folder"
    assert output.splitlines()[-1] == last


@pytest.mark.parametrize("store", ["memory://", "rocksdb://"])
async def test_read_only_data_directory_is_named(
    tmp_path: Path, read_only: Path, store: str
) -> None:
    """One that an earlier start has filled is, too: what blocks the worker is remembered there."""
    worker = command(tmp_path, "worker", STREAMAPP_DATA_DIR=str(read_only), STREAMAPP_STORE=store)
    code, output = await ended(worker)

    assert code == 2
    assert "Traceback" not in output
    assert output.splitlines()[-1] == (
        f"streamapp: STREAMAPP_DATA_DIR: cannot use '{read_only}': not writable;"
        " make it so for this user, or set another"
    )


@pytest.mark.parametrize("worker", WORKERS, ids=["streamapp", "faust"])
async def test_public_host_without_keys_is_refused(tmp_path: Path, worker: Sequence[str]) -> None:
    """Faust's own option cannot open what the settings keep closed."""
    code, output = await ended(command(tmp_path, *worker, "--web-bind", "0.0.0.0"))

    assert code == 2
    assert output.endswith(
        "streamapp: the web host 0.0.0.0 is public: set STREAMAPP_API_KEYS or [keys.NAME]\n"
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "problem"),
    [
        (WORKERS[1], {"STREAMAPP_MAX_IN_FLIGHT": "many"}, "STREAMAPP_MAX_IN_FLIGHT: "),
        ([*WORKERS[0], "--web-bind", "0.0.0.0"], {}, "the web host 0.0.0.0 is public"),
        (WORKERS[0], {"STREAMAPP_DATA_DIR": "/dev/null/data"}, "STREAMAPP_DATA_DIR: cannot use"),
    ],
    ids=["settings", "option", "start"],
)
async def test_last_line_is_json_where_the_log_is(
    tmp_path: Path, arguments: Sequence[str], environment: dict[str, str], problem: str
) -> None:
    """Whatever part of a worker refuses the configuration, and whichever command starts it."""
    environment["STREAMAPP_LOG_FORMAT"] = "json"
    code, output = await ended(command(tmp_path, *arguments, **environment))

    lines = [json.loads(line) for line in output.splitlines()]
    assert (code, lines[-1]["event"]) == (2, "worker.refused")
    assert problem in lines[-1]["reason"]


async def test_demo_tells_what_its_worker_refuses_in_words(tmp_path: Path) -> None:
    """Also where the worker's log, which is its own, is JSON."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "bad.md").write_text("{{ unclosed")

    code, output = await ended(command(tmp_path, "demo", "--exit", STREAMAPP_LOG_FORMAT="json"))

    assert code == 2
    assert re.fullmatch(r"streamapp: prompt file prompts/bad\.md, line 1: .*\n", output), output


@pytest.fixture
def broker() -> Iterator[str]:
    """The address of an embedded broker."""
    with EmbeddedBroker() as embedded:
        yield embedded.url


async def test_wrong_partition_count_is_refused_without_a_traceback(
    tmp_path: Path, broker: str
) -> None:
    """What only the broker can tell is found before a record is taken: exit 2, last line."""
    await ensure_topics(Settings(_env_file=None, broker=broker, partitions=3))

    code, output = await ended(command(tmp_path, "worker", STREAMAPP_BROKER=broker))

    assert code == 2
    assert "Traceback" not in output
    assert output.splitlines()[-1].startswith("streamapp: topic llm.requests has 3 partitions")


async def test_worker_obeys_its_options(tmp_path: Path, broker: str) -> None:
    """-l and --web-port win over the settings; SIGTERM ends it with 0."""
    port = free_port()
    process = command(
        tmp_path,
        *("worker", "-l", "error", "--web-port", str(port)),
        STREAMAPP_BROKER=broker,
        STREAMAPP_SESSION_TIMEOUT_S="6",
    )
    process.start()
    try:
        # Not before: aiokafka leaves a connection behind where its start is cancelled, and says so.
        await until(lambda: is_ready(f"http://127.0.0.1:{port}"), 90, state=process.tail)
        process.sigterm()
        code = await process.wait(60)
    finally:
        process.kill9()

    assert (code, process.log.read_text()) == (0, "")


@pytest.mark.parametrize("worker", WORKERS, ids=["streamapp", "faust"])
async def test_both_commands_run_the_same_worker(
    tmp_path: Path, broker: str, worker: Sequence[str]
) -> None:
    """It gets ready, logs in our format, closes Faust's pages, and ends with 0 on SIGTERM."""
    port = free_port()
    process = command(
        tmp_path,
        *worker,
        STREAMAPP_BROKER=broker,
        STREAMAPP_SESSION_TIMEOUT_S="6",
        STREAMAPP_WEB_PORT=str(port),
        STREAMAPP_LOG_FORMAT="json",
        WEB_BIND="0.0.0.0",
        APP_WEB_TABLES_ENABLED="true",
    )
    url = f"http://127.0.0.1:{port}"

    process.start()
    try:
        await until(lambda: is_ready(url), 90, state=process.tail)
        tables = await status(f"{url}/table/")
        process.sigterm()
        code = await process.wait(60)
    finally:
        process.kill9()

    assert code == 0, process.tail()
    assert tables == 404
    events = [line for line in process.log.read_text().splitlines() if line.startswith("{")]
    assert json.loads(events[0])["event"] == "worker.starting"
