"""TLS, client certificates and passwords against an Apache Kafka that asks for them."""

import asyncio
import gc
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from streamapp.cli import main
from streamapp.errors import ConfigurationError
from streamapp.flows.catalogue import load_flows
from streamapp.processors.registry import Registry
from streamapp.settings import Settings
from streamapp.streaming.broker.acls import BOTH, require_rights
from streamapp.streaming.broker.diagnosis import refusal
from streamapp.streaming.broker.topics import ensure_topics
from streamapp.streaming.flows.topics import ensure_flow_topics
from tests.support import commands
from tests.support.commands import Ended
from tests.support.guarded_kafka import LIMITED, PASSWORD, GuardedKafka
from tests.support.kafka_rights import (
    CREATE,
    DESCRIBE,
    GROUP,
    LITERAL,
    PREFIXED,
    READ,
    TOPIC,
    WRITE,
    Right,
    grant,
)
from tests.support.logs import restored_logging
from tests.support.topics import create_topics
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.timeout(240),
    # asyncio leaves the transport of a handshake that failed to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CA, HOST, LOGIN = "KAFKA_CA_FILE", "another host name.*STREAMAPP_BROKER", "KAFKA_SASL_PASSWORD"
PROTOCOL = "KAFKA_SECURITY_PROTOCOL"
TAIL = ("tail", "--json", "--from-beginning", "--max")

__all__ = ["restored_logging"]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect what a test left while its warnings are this file's."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def guarded(
    kafka_installed: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedKafka]:
    """One broker with every kind of listener."""
    kafka = GuardedKafka(tmp_path_factory.mktemp("guarded") / "kafka")
    try:
        asyncio.run(kafka.broker.start())
        yield kafka
    finally:
        kafka.broker.kill9()


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"STREAMAPP_{name.upper()}": value for name, value in settings.items()}


def of_command(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command that finds no worker to ask."""
    return environment(settings) | {"STREAMAPP_WORKER_URL": "http://127.0.0.1:1"}


async def streamapp(*arguments: str, settings: Mapping[str, str], stdin: str = "") -> Ended:
    """Run a command in a process of its own."""
    return await commands.streamapp(*arguments, env=of_command(settings), stdin=stdin.encode())


async def command(*arguments: str, settings: Mapping[str, str], stdin: str = "") -> str:
    """Run a command that succeeds in this process, which is quicker; return its stdout."""
    ran = await asyncio.to_thread(
        CliRunner().invoke, main, arguments, input=stdin, env=of_command(settings)
    )
    assert ran.exit_code == 0, ran.output
    return ran.stdout


@pytest.mark.usefixtures("restored_logging")
async def test_workers_and_commands_pass_every_door(guarded: GuardedKafka, tmp_path: Path) -> None:
    """Four workers of one group, each through another listener, answer what each command sends."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    shared = {"app_id": prefix, "topic_prefix": prefix, "partitions": "4"}
    listeners = {
        "tls": guarded.tls(),
        "mtls": guarded.mtls(),
        "plain": guarded.sasl("PLAIN"),
        "scram": guarded.sasl("SCRAM-SHA-512"),
    }
    workers = [
        WorkerProcess(tmp_path / name, environment(shared | listener))
        for name, listener in listeners.items()
    ]
    try:
        for worker in workers:
            worker.start()
        await asyncio.gather(*(worker.wait_ready(90) for worker in workers))

        for name, listener in listeners.items():
            lines = [
                json.dumps({"id": f"{name}-{n}", "type": "embed", "input": "x"}) for n in range(8)
            ]
            await command(
                "send", "-", "--key", "id", settings=shared | listener, stdin="\n".join(lines)
            )
            out = await command(*TAIL, "8", settings=shared | listener)
            assert {json.loads(line)["status"] for line in out.splitlines()} == {"ok"}
            await command("check", settings=shared | listener)
        out = await command(*TAIL, "32", settings=shared | listeners["tls"])
        answered = {json.loads(line)["id"] for line in out.splitlines()}
        assert answered == {f"{name}-{n}" for name in listeners for n in range(8)}
        assert all(not worker.has_logged(PASSWORD) for worker in workers)
    finally:
        for worker in workers:
            worker.kill9()


def wrong_settings(guarded: GuardedKafka) -> dict[str, tuple[dict[str, str], str]]:
    """Return, by what is wrong, the settings and what the message names."""
    wrong_password = {"kafka_sasl_password": "CANARY-wrong"}
    unencrypted = {"broker": f"kafka://127.0.0.1:{guarded.broker.listener_ports['CLEARSASL']}"}
    no_ca = guarded.tls()
    del no_ca["kafka_ca_file"]
    return {
        "foreign authority": (guarded.tls() | {"kafka_ca_file": str(guarded.foreign_ca_file)}, CA),
        "no authority": (no_ca, CA),
        "host name": (guarded.tls(host="localhost"), HOST),
        "advertised host name": (guarded.tls("ELSEWHERE", host="localhost"), HOST),
        "no client certificate": (guarded.tls("MTLS"), "KAFKA_CERT_FILE"),
        "password of PLAIN": (guarded.sasl("PLAIN") | wrong_password, LOGIN),
        "password of SCRAM": (guarded.sasl("SCRAM-SHA-512") | wrong_password, LOGIN),
        "mechanism": (guarded.sasl("SCRAM-SHA-256"), "KAFKA_SASL_MECHANISM"),
        "no password": (guarded.tls("SASL"), f"{PROTOCOL}=SASL_SSL"),
        "no password in the clear": (unencrypted, f"{PROTOCOL}=SASL_PLAINTEXT"),
        "password at a listener without": (
            guarded.sasl("PLAIN", listener="TLS"),
            f"{PROTOCOL}=SSL",
        ),
        "no TLS": ({"broker": guarded.tls()["broker"]}, f"{PROTOCOL}=SSL"),
        "TLS at a plain listener": (guarded.tls() | {"broker": guarded.broker.url}, PROTOCOL),
    }


def assert_names(line: str, expected: str) -> None:
    assert re.search(expected, line), line
    assert "CANARY" not in line


async def test_each_wrong_setting_is_named(guarded: GuardedKafka) -> None:
    """What a broker refuses is told by the variable to change, without the password."""
    for settings, expected in wrong_settings(guarded).values():
        values: dict[str, Any] = dict(settings)

        refused = await refusal(Settings(_env_file=None, **values))

        assert_names(str(refused), expected)


async def test_broker_that_is_away_refuses_nothing(guarded: GuardedKafka) -> None:
    """Right settings, and a broker that does not answer, are no wrong setting."""
    right = guarded.sasl("SCRAM-SHA-512")
    away = right | {"broker": "kafka://127.0.0.1:1"}

    for values in (right, away):
        assert await refusal(Settings(_env_file=None, **dict[str, Any](values))) is None


@pytest.mark.parametrize("what", ["foreign authority", "host name", "password of SCRAM"])
async def test_programs_end_with_one_line(guarded: GuardedKafka, tmp_path: Path, what: str) -> None:
    """Worker, send, tail and check end with exit 2 and the line that names the variable."""
    settings, expected = wrong_settings(guarded)[what]
    record = '{"type": "embed", "input": "x"}\n'
    worker = WorkerProcess(tmp_path / "worker", environment(settings))
    worker.start()
    try:
        ends = await asyncio.gather(
            streamapp("send", "-", settings=settings, stdin=record),
            streamapp("tail", settings=settings),
            streamapp("check", settings=settings),
        )

        assert await worker.wait(60) == 2
    finally:
        worker.kill9()
    (*_, last_line) = worker.log.read_text().splitlines()
    assert_names(last_line, expected)
    assert "Traceback" not in worker.log.read_text()
    for code, out, err in ends:
        assert code == 2
        assert_names(
            next(line for line in (out + err).splitlines() if "STREAMAPP_" in line), expected
        )
        assert "Traceback" not in err


@pytest.mark.usefixtures("restored_logging")
async def test_a_missing_right_is_named(guarded: GuardedKafka, tmp_path: Path) -> None:
    """What docs/security.md grants is enough for a worker; without it, it says what is missing."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    settings = guarded.sasl("SCRAM-SHA-512") | {
        "kafka_sasl_username": LIMITED,
        "app_id": prefix,
        "topic_prefix": prefix,
    }
    values: dict[str, Any] = dict(settings)
    names = [f"{prefix}.requests", f"{prefix}-answers-changelog"]

    async def allow(*rights: Right) -> None:
        await grant(guarded.broker.port, LIMITED, list(rights))

    async def refused() -> str:
        """Return what is refused; a right that was granted counts only some time later."""
        try:
            await ensure_topics(Settings(_env_file=None, **values))
            await require_rights(Settings(_env_file=None, **values), dict.fromkeys(names, BOTH))
        except ConfigurationError as error:
            return str(error)
        return ""

    async def told(pattern: str) -> None:
        async def is_told() -> bool:
            return re.fullmatch(pattern, await refused()) is not None

        await until(is_told, 60)

    topics = [(TOPIC, f"{prefix}{end}", PREFIXED) for end in (".", "-")]
    group = f"Read on the group {prefix}"
    await told("topic .* cannot be created: .*")
    await allow(*((*topic, right) for topic in topics for right in (CREATE, DESCRIBE)))
    await told(f".* grant {LIMITED}: .*Write on the topic {names[1]}.*, {group}")
    await allow(*((*topic, right) for topic in topics for right in (READ, WRITE)))
    await told(f".* grant {LIMITED}: {group}")
    await allow((GROUP, prefix, LITERAL, READ))
    await told("")

    worker = WorkerProcess(tmp_path / "worker", environment(settings))
    worker.start()
    try:
        await worker.wait_ready()
        record = '{"type": "embed", "input": "x"}'
        await command("send", "-", settings=settings, stdin=record)
        await command(*TAIL, "1", settings=settings)
    finally:
        worker.kill9()


@pytest.mark.usefixtures("restored_logging")
async def test_a_missing_right_of_a_flow_is_named(guarded: GuardedKafka, tmp_path: Path) -> None:
    """An input that we may not see is no missing topic; each right is asked for."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    shop, app = f"shop{prefix}", [(TOPIC, f"{prefix}{end}", PREFIXED) for end in (".", "-")]
    flow = {
        "input": f"{shop}.in",
        "output": f"{shop}.out",
        "type": "summarize",
        "fields": {"text": "{{ value }}"},
    }
    settings = guarded.sasl("SCRAM-SHA-512") | {
        "kafka_sasl_username": LIMITED,
        "app_id": prefix,
        "topic_prefix": prefix,
        "flows": json.dumps({"f": flow}),
    }
    values: dict[str, Any] = dict(settings) | {"flows": {"f": flow}}
    names = [flow["input"], flow["output"], f"{shop}.in-dlt"]
    await create_topics(guarded.broker.bootstrap, *map(str, names), partitions=2)

    async def allow(*rights: Right) -> None:
        await grant(guarded.broker.port, LIMITED, list(rights))

    async def told(pattern: str) -> None:
        async def is_told() -> bool:
            flows = load_flows(Settings(_env_file=None, **values), Registry.load())
            try:
                await ensure_flow_topics(Settings(_env_file=None, **values), flows)
            except ConfigurationError as error:
                return re.fullmatch(pattern, str(error)) is not None
            return not pattern

        await until(is_told, 60)

    await allow(*((*topic, right) for topic in app for right in (CREATE, READ, WRITE)))
    await allow((GROUP, prefix, LITERAL, READ))
    await told(f".* grant {LIMITED}: Read on the topic {names[0]}")
    await allow(*((TOPIC, str(name), LITERAL, DESCRIBE) for name in names))
    lacks = [f"Write on the topic {names[1]}", f"Read on the topic {names[0]}"]
    lacks += [f"{right} on the topic {names[2]}" for right in ("Read", "Write")]
    await told(f".* grant {LIMITED}: {', '.join(lacks)}")
    code, out, err = await streamapp("check", settings=settings)
    assert code == 2
    assert f"Read on the topic {names[0]}" in out + err
    await allow((TOPIC, f"{shop}.", PREFIXED, READ), (TOPIC, f"{shop}.", PREFIXED, WRITE))
    await told("")
