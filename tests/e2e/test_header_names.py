"""Headers as other clients write them and Kafka takes them: any bytes as a name, null values."""

from pathlib import Path

import pytest
from aiokafka.consumer import fetcher

from streamapp.streaming.protocol.header_names import AnyNameRecords, KeptRecords
from tests.e2e.stage import Record, Stage, ask
from tests.support.batches import produce_named
from tests.support.commands import streamapp
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

LATIN1 = "Größe".encode("latin-1")
ESCAPED = "Gr\\xf6\\xdfe"
#: Every name of a header that streamapp looks at.
LOOKED_AT = (
    "streamapp-api-key",
    "traceparent",
    "tracestate",
    "baggage",
    "reply-to",
    "correlation-id",
    "streamapp.id",
    "streamapp.replays",
    "streamapp.attempts",
    "streamapp.first-failure",
    "streamapp.request.id",
    "streamapp.error.kind",
)


@pytest.fixture(autouse=True)
def verifier_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge of a run reads the requests as well, in this process."""
    monkeypatch.setattr(fetcher, "MemoryRecords", KeptRecords)
    monkeypatch.setattr(fetcher, "PartitionRecords", AnyNameRecords)


async def test_name_of_a_header_that_is_no_utf8(kafka: KafkaBroker, tmp_path: Path) -> None:
    """The record is answered or a dead letter, which has the name as text; the others go on."""
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        requests = f"{stage.prefix}.requests"

        await stage.produce([ask("before", partition=0)])
        await produce_named(stage, requests, ask("odd"), LATIN1)
        await produce_named(stage, requests, Record(b"{", b"k"), LATIN1)
        await stage.produce([ask(f"behind-{n}", partition=n % 2) for n in range(4)])
        report = await stage.settle(7, 60)

        assert not report.faults, report
        assert {call.id for call in stage.calls()} == {
            "before",
            "odd",
            *(f"behind-{n}" for n in range(4)),
        }
        [dead] = stage.verifier.outcomes[f"{requests}-0-2"]
        own = [pair for pair in dead.headers if pair[0] == ESCAPED]
        assert own == [(ESCAPED, b"1"), (ESCAPED, b"2")]
        assert not worker.has_logged("partition.unreadable")
        await produce_named(stage, f"{requests}-dlt", Record(b"foreign", b"k"), LATIN1)
        env = stage.environment()
        listed = await streamapp("dead-letters", "list", "--json", env=env)
        assert [one["kind"] for one in listed.objects] == ["undecodable"], listed
        tailed = await streamapp("tail", "--topic", requests, "--exit", env=env)
        assert len(tailed.out.splitlines()) == 7, tailed


@pytest.mark.parametrize("topic", ["prompts", "spend", "limits", "answers-changelog"])
async def test_such_a_name_on_a_topic_of_ours(
    kafka: KafkaBroker, tmp_path: Path, topic: str
) -> None:
    """A foreign record there is passed over, by a worker that runs and by one that starts."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce([ask("before", partition=0)])
        await stage.settle(1)

        name = f"{stage.prefix}{'-' if topic == 'answers-changelog' else '.'}{topic}"
        await produce_named(stage, name, Record(b"foreign", b"k"), LATIN1)
        await stage.produce([ask("behind", partition=0)])
        await stage.settle(2)
        worker.sigterm()
        assert await worker.wait(40) == 0
        worker.start()
        await worker.wait_ready()
        await stage.produce([ask("after-start", partition=0)])
        report = await stage.settle(3)

        assert not report.faults, report
        assert report.calls == 3
        assert not worker.has_logged("partition.unreadable")


async def test_headers_of_any_kind(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Null values, names that come twice or are empty, and ten thousand of them end no worker."""
    nulls: list[tuple[str, bytes | None]] = [(name, None) for name in LOOKED_AT]
    shapes: dict[str, list[tuple[str, bytes | None]]] = {
        "nulls": nulls,
        "twice": [*nulls, ("traceparent", b""), ("traceparent", b"\xff"), ("", None), ("", b"")],
        "many": [(f"h-{n}", b"x") for n in range(10_000)],
        "many-empty": [("", None)] * 20_000,
    }
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        for id_, headers in shapes.items():
            good = ask(id_)
            for value in (good.value, b"{"):
                await stage.produce([Record(value, good.key, 0, headers)])  # type: ignore[arg-type]  # null
        report = await stage.settle(2 * len(shapes), 60)

        assert not report.faults, report
        assert report.calls == len(shapes)
        assert report.dead == {"undecodable": len(shapes)}
        assert worker.alive
