"""`streamapp send` against Apache Kafka: its retries neither duplicate nor reorder."""

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamapp.cli import main
from streamapp.cli.kafka import producing, reading
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import ensure_topics
from tests.support.kafka import KafkaBroker
from tests.support.process import ChildProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

RECORDS = 20_000


async def read(settings: Settings, count: int) -> list[bytes]:
    """Return the first ``count`` values of the one partition."""
    values: list[bytes] = []
    async with reading(settings, [settings.topic("requests")], from_beginning=True) as stream:
        async for message in stream:
            values.append(message.value)
            if len(values) == count:
                break
    return values


async def test_producer_is_idempotent(kafka: KafkaBroker) -> None:
    """Where the broker can tell retries apart, the producer lets it."""
    async with producing(Settings(_env_file=None, broker=kafka.url)) as producer:
        assert producer._txn_manager is not None


def test_topic_that_is_not_there_is_told(kafka: KafkaBroker, tmp_path: Path) -> None:
    """As `check` does; a broker that creates none says so only when it is written to."""
    (tmp_path / "r.jsonl").write_text('{"body": "x"}\n')
    words = ["send", str(tmp_path / "r.jsonl"), "--topic", "nosuch"]

    result = CliRunner().invoke(main, words, env={"STREAMAPP_BROKER": kafka.url})

    assert result.exit_code == 1
    assert "there is no topic nosuch: some brokers create it now" in result.stderr
    assert "there is no topic nosuch: create it, or mend the name" in result.stderr


async def test_order_is_kept_when_the_broker_dies_under_a_send(
    own_kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A broker killed with requests in flight gets every record once, in the file's order."""
    await own_kafka.start()
    environment = {"STREAMAPP_BROKER": own_kafka.url, "STREAMAPP_PARTITIONS": "1"}
    settings = Settings(_env_file=None, broker=own_kafka.url, partitions=1)
    await ensure_topics(settings)
    lines = [b'{"type":"embed","input":"%d %s"}' % (n, b"x" * 4_000) for n in range(RECORDS)]
    (tmp_path / "records.jsonl").write_bytes(b"\n".join(lines))
    send = ChildProcess(
        [sys.executable, "-m", "streamapp", "send", "records.jsonl", "--no-check"],
        log=tmp_path / "log",
        env={**os.environ, **environment},
        cwd=tmp_path,
    )

    send.start()
    await read(settings, 1)
    send.sigstop()
    assert send.alive
    own_kafka.kill9()
    await own_kafka.start()
    send.sigcont()
    code = await send.wait(120)

    assert code == 0, send.tail()
    async with producing(settings) as producer:
        await producer.send_and_wait(settings.topic("requests"), b"end")
    assert await read(settings, RECORDS + 1) == [*lines, b"end"]


def test_file_without_a_record_is_told(kafka: KafkaBroker, tmp_path: Path) -> None:
    """As of an export that failed."""
    (tmp_path / "r.jsonl").write_text("\n\n")

    result = CliRunner().invoke(
        main, ["send", str(tmp_path / "r.jsonl")], env={"STREAMAPP_BROKER": kafka.url}
    )

    assert (result.exit_code, "the file has no records" in result.stderr) == (0, True)
