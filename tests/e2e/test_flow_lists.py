"""A flow in Python of two calls and three records for each record, killed in their middle."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from tests.e2e.flow_stage import (
    all_records,
    create_topic,
    ledger_lines,
    produce_values,
    reader_of,
)
from tests.e2e.stage import Stage
from tests.e2e.test_agents import made_again
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

RECORDS, KEYS, PARTS, KILLS = 120, 20, 3, 2
LATENCY_S = 0.3


@pytest.mark.parametrize(
    "processors",
    ["triples", pytest.param("late_ledger", marks=pytest.mark.chaos)],
)
async def test_three_records_of_two_calls_survive_kills(
    kafka: KafkaBroker, tmp_path: Path, processors: str
) -> None:
    """The same three records of each, in order, and no finished step is made again.

    Also where the group's leaders learn late of a new flow's ledger.
    """
    found: list[ConsumerRecord] = []
    async with Stage(kafka, tmp_path, partitions=2) as stage, AsyncExitStack() as stack:
        await stage.open()
        for name in ("sources", "parts"):
            await create_topic(stage, name, 3)
        stage.provider.default(latency_s=LATENCY_S, unique=True)
        settings: dict[str, Any] = {
            "processors": f"tests.support.{processors}",
            "max_in_flight": 32,
        }
        workers = [stage.start_worker(**settings) for _ in range(2)]
        for worker in workers:
            await worker.wait_ready()
        reader = await stack.enter_async_context(reader_of(stage, "parts"))
        following = asyncio.create_task(_follow(reader, found))
        stack.callback(following.cancel)
        await produce_values(
            stage, "sources", ({"n": n, "key": f"k-{n % KEYS}"} for n in range(RECORDS))
        )

        for kill in range(KILLS):
            due = RECORDS * PARTS * (2 * kill + 1) // (2 * KILLS + 1)
            await until(partial(_has, found, due), 60)
            await stage.in_flight(3)
            stage.kill9(workers[kill % 2])
            workers[kill % 2].start()
        await until(lambda: len(_places(found)) == RECORDS, 90, state=lambda: len(_places(found)))
        sources = await all_records(stage, "sources")
        entries = await ledger_lines(stage, "triple")
        offsets = {(s.partition, s.offset): s for s in sources}

    by_place = _by_place(found)
    assert len(offsets) == RECORDS
    assert by_place.keys() == {f"{p}-{o}" for p, o in offsets}
    for (partition, offset), source in offsets.items():
        parts = by_place[f"{partition}-{offset}"]
        assert sorted(parts) == [0, 1, 2]
        for part, records in parts.items():
            assert len({(r.key, r.value, tuple(sorted(r.headers))) for r in records}) == 1, records
            headers = dict(records[0].headers)
            assert records[0].key == source.key
            assert records[0].partition == partition
            assert headers["origin"] == b"shop"
            assert headers.get("streamapp-part") == (str(part).encode() if part else None)
            assert headers.get("part") == (b"middle" if part == 1 else None)
    _check_order(found)
    _check_calls(stage, entries, found)


async def _follow(reader: AIOKafkaConsumer, found: list[ConsumerRecord]) -> None:
    async for record in reader:
        found.append(record)


def _has(found: Sequence[ConsumerRecord], count: int) -> bool:
    return len(found) >= count


def _value(record: ConsumerRecord) -> Any:
    return json.loads(record.value or b"")


def _by_place(
    found: Sequence[ConsumerRecord],
) -> Mapping[str, Mapping[int, list[ConsumerRecord]]]:
    by_place: dict[str, dict[int, list[ConsumerRecord]]] = defaultdict(lambda: defaultdict(list))
    for record in found:
        value = _value(record)
        by_place[value["place"]][value["part"]].append(record)
    return by_place


def _places(found: Sequence[ConsumerRecord]) -> set[str]:
    """Return the places all of whose records are there."""
    return {place for place, parts in _by_place(found).items() if len(parts) == PARTS}


def _check_order(found: Sequence[ConsumerRecord]) -> None:
    seen: set[tuple[int, int]] = set()
    by_key: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for record in sorted(found, key=lambda r: (r.partition, r.offset)):
        value = _value(record)
        one = (value["n"], value["part"])
        if one not in seen:
            seen.add(one)
            by_key[record.key].append(one)
    for key, ones in by_key.items():
        assert ones == sorted(ones), key


def _check_calls(stage: Stage, entries: Sequence[str], found: Sequence[ConsumerRecord]) -> None:
    """Check that each call that was made again was in progress at a kill."""
    order: dict[str, list[str]] = defaultdict(list)
    for call in stage.provider.calls:
        place, step, *_ = call.message.split(" ")
        order[place].append(step)
    for place, steps in order.items():
        calls = [call for call in stage.provider.calls if call.message.startswith(f"{place} ")]
        # "one" before "two"
        assert steps == sorted(steps), "\n".join(map(str, (*calls, *stage.crashes, *entries)))
    words = [(call.message.split(" "), call.at_s) for call in stage.provider.calls]
    asked = [((place, step), at_s, at_s + LATENCY_S) for (place, step, *_), at_s in words]
    wall_to_monotonic_s = time.monotonic() - time.time()
    written = [
        ((_value(record)["place"], "parts"), at_s, at_s)
        for record in found
        for at_s in [record.timestamp / 1000 + wall_to_monotonic_s]
    ]
    _, faults = made_again(asked, [*asked, *written], stage.crashes)
    assert not faults, (faults, stage.crashes)
