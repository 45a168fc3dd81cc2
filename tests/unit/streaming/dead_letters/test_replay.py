"""Sending records again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError

from streamapp.flows.topics import FlowTopics
from streamapp.llm.caller import CALLER, HEADER
from streamapp.records.dead_letter import REPLAYS
from streamapp.settings import Settings
from streamapp.streaming.dead_letters.replay import MAX_REPLAYS, Replay
from streamapp.streaming.dead_letters.source import flow_source, requests_source
from streamapp.streaming.dead_letters.stored import StoredDeadLetter
from tests.fakes import FakeClock
from tests.support.dead_letters import headers_of, record, request

NOTES = "llm.requests-dlt-replays"


class Broker:
    """Takes records, up to ``room`` of them; then every delivery fails."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.taken: list[tuple[Any, ...]] = []
        self.at: list[float] = []
        self.clock = FakeClock()
        self.room = room

    async def send(self, *fields: Any) -> asyncio.Future[Any]:
        delivery: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.room <= 0:
            delivery.set_exception(KafkaTimeoutError())
            return delivery
        self.room -= 1
        self.taken.append(fields)
        self.at.append(self.clock.now)
        delivery.set_result(None)
        return delivery

    def of(self, topic: str) -> list[tuple[Any, ...]]:
        return [fields for fields in self.taken if fields[0] == topic]


def dead_letter(id: str = "r", **fields: Any) -> StoredDeadLetter:
    own = fields.pop("own", [])
    found = StoredDeadLetter.of(record(request(id), [*own, *headers_of(id, **fields)]))
    assert found is not None
    return found


async def each(dead_letters: list[StoredDeadLetter]) -> AsyncIterator[StoredDeadLetter]:
    for one in dead_letters:
        yield one


async def replay(
    broker: Broker,
    *dead_letters: StoredDeadLetter,
    replayed: set[bytes] | None = None,
    rate_per_s: float = 1e6,
) -> Counter[str]:
    results = Counter[str]()
    source = requests_source(Settings(_env_file=None))
    work = Replay(source, broker.send, clock=broker.clock, sleep=broker.clock.sleep)
    await work(
        each(list(dead_letters)),
        set() if replayed is None else replayed,
        rate_per_s=rate_per_s,
        on_result=lambda dead_letter, result: results.update([result]),
    )
    return results


async def test_record_goes_back_as_it_was() -> None:
    """Topic, partition, key, bytes and headers are the record's; history is counted on."""
    broker = Broker()
    earlier = [(REPLAYS, b"1"), ("streamapp.attempts", b"4")]
    one = dead_letter(partition=2, own=[("tag", b"a"), ("tag", b"b")], earlier=earlier)

    assert await replay(broker, one) == {"sent": 1}

    topic, key, value, partition, _, headers = broker.of("llm.requests")[0]
    assert (topic, key, value, partition) == ("llm.requests", b"k", request("r"), 2)
    assert headers == [
        ("tag", b"a"),
        ("tag", b"b"),
        ("streamapp.replays", b"2"),
        ("streamapp.attempts", b"4"),
        ("streamapp.first-failure", b"2030-01-01T00:00:00+00:00"),
    ]


async def test_corrected_record_takes_the_place_of_the_failed_one() -> None:
    """Topic, partition, key and headers are the record's; its history ends, and that is noted."""
    broker = Broker()
    one = dead_letter(partition=2, own=[("tag", b"a")], earlier=[(REPLAYS, b"5")])

    await Replay(requests_source(Settings(_env_file=None)), broker.send).instead(one, b"{}")

    assert broker.taken == [
        ("llm.requests", b"k", b"{}", 2, None, [("tag", b"a")]),
        (NOTES, None, one.mark, one.partition, None, None),
    ]


@pytest.mark.parametrize(
    ("key", "written"), [("cheap", [b"cheap"]), ("", [b"large"])], ids=["named", "no-name"]
)
async def test_correction_is_of_the_key_that_sends_it(key: str, written: list[bytes]) -> None:
    """A key of few models may not correct a record so that it is run as another key's."""
    broker = Broker()
    one = dead_letter(own=[(HEADER, b"large"), ("tag", b"a")])

    token = CALLER.set(key)
    try:
        await Replay(requests_source(Settings(_env_file=None)), broker.send).instead(one, b"{}")
    finally:
        CALLER.reset(token)

    headers = broker.of("llm.requests")[0][5]
    assert [value for name, value in headers if name == HEADER] == written
    assert ("tag", b"a") in headers


async def test_correction_that_is_not_taken_is_not_noted() -> None:
    """The dead letter can be corrected again."""
    broker = Broker(room=0)

    with pytest.raises(KafkaTimeoutError):
        await Replay(requests_source(Settings(_env_file=None)), broker.send).instead(
            dead_letter(), b"{}"
        )

    assert broker.taken == []


async def test_event_of_prompts_goes_back_to_prompts() -> None:
    """A dead letter goes where its record stood."""
    broker = Broker()

    await replay(broker, dead_letter(topic="llm.prompts"))

    assert [fields[0] for fields in broker.taken] == ["llm.prompts", NOTES]


async def test_another_record_at_the_same_place_is_sent() -> None:
    """A log that lost its end gives its places again: what failed there was another record."""
    broker = Broker()
    known = {dead_letter("before").mark}

    assert await replay(broker, dead_letter("before"), replayed=known) == {"replayed": 1}
    assert await replay(broker, dead_letter("behind"), replayed=known) == {"sent": 1}


async def test_note_of_an_earlier_version_names_the_place_alone() -> None:
    """What was sent again before an upgrade is not sent twice."""
    known = {b"llm.requests-2@7"}

    found = await replay(Broker(), dead_letter(partition=2, offset=7), replayed=known)

    assert found == {"replayed": 1}


async def test_partition_that_is_no_more_is_left_to_the_key() -> None:
    """A topic with fewer partitions than before still takes the record."""
    broker = Broker()

    await replay(broker, dead_letter(partition=99))

    assert broker.of("llm.requests")[0][3] is None


@pytest.mark.parametrize(
    ("one", "result"),
    [
        (dead_letter(topic="__consumer_offsets"), "foreign"),
        (dead_letter(earlier=[(REPLAYS, b"%d" % MAX_REPLAYS)]), "looping"),
        (
            replace(
                dead_letter(), headers={**dead_letter().headers} | {"streamapp.value": "omitted"}
            ),
            "omitted",
        ),
        (
            replace(
                dead_letter(), headers={**dead_letter().headers} | {"streamapp.key": "omitted"}
            ),
            "omitted",
        ),
    ],
    ids=["foreign topic", "loop", "value left out", "key left out"],
)
async def test_what_must_not_be_sent_is_not(one: StoredDeadLetter, result: str) -> None:
    """A header decides neither the topic nor past the bound."""
    broker = Broker()

    assert await replay(broker, one) == {result: 1}
    assert broker.taken == []


async def test_record_is_sent_once() -> None:
    """A note behind the delivery, and a second dead letter of one record, hold it back."""
    broker, replayed = Broker(), set[bytes]()

    assert await replay(broker, dead_letter(), dead_letter(), replayed=replayed) == {
        "sent": 1,
        "replayed": 1,
    }
    notes = {fields[2] for fields in broker.of(NOTES)}
    assert await replay(broker, dead_letter(), replayed=notes) == {"replayed": 1}
    assert notes == replayed == {dead_letter().mark}


async def test_rate_is_kept() -> None:
    """The records leave evenly, also after a pause of the source."""
    broker = Broker()

    await replay(broker, *(dead_letter(offset=n) for n in range(101)), rate_per_s=50)

    sent = [at for at, fields in zip(broker.at, broker.taken, strict=True) if fields[0] != NOTES]
    gaps = [after - before for before, after in pairwise(sent)]
    assert sent[-1] - sent[0] == pytest.approx(2.0, abs=0.06)
    assert max(gaps) <= 0.021


async def test_broker_that_takes_no_more_ends_the_sending() -> None:
    """What it did not take is told, not noted, and the rest is not tried one by one."""
    broker = Broker(room=6)

    results = await replay(broker, *(dead_letter(offset=n) for n in range(1_000)))

    assert sum(results.values()) == 1_000
    assert results["sent"] == len(broker.of(NOTES)) < 10
    assert results["undelivered"] == 1_000 - results["sent"]


async def test_interrupted_replay_notes_what_it_sent() -> None:
    """The same command given again goes on where it was cut off."""
    broker = Broker()
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[StoredDeadLetter]:
        yield dead_letter()
        begun.set()
        await asyncio.Event().wait()

    work = Replay(requests_source(Settings(_env_file=None)), broker.send)
    task = asyncio.create_task(
        work(endless(), set(), rate_per_s=1_000, on_result=lambda dead_letter, result: None)
    )
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert len(broker.of(NOTES)) == 1


async def test_a_record_of_a_flow_goes_back_to_the_flows_input() -> None:
    """Its input alone is written to, and the note stands on a partition that there is."""
    flow = FlowTopics("shop.reviews", ("shop.labelled",), "shop.reviews-dlt")
    counts = {"shop.reviews": 24, "shop.reviews-dlt": 24}
    source = flow_source(Settings(_env_file=None, partitions=8), flow, counts)
    broker, results = Broker(), Counter[str]()
    found = replace(dead_letter(), partition=17, origin=("shop.reviews", 17, 3))
    letters = [found, replace(found, origin=("llm.requests", 1, 3))]

    await Replay(source, broker.send)(
        each(letters), set(), rate_per_s=1e6, on_result=lambda _, result: results.update([result])
    )

    assert results == {"sent": 1, "foreign": 1}
    assert [(sent[0], sent[3]) for sent in broker.taken] == [("shop.reviews", 17), (NOTES, 1)]
