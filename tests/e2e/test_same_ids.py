"""Records of one id whose first one is a dead letter, and what each gets when it comes again."""

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from streamapp.streaming.window.finished_offsets import decode
from tests.e2e.stage import Record, Stage, ask
from tests.e2e.test_steps import calls_of, chain
from tests.support.kafka import KafkaBroker
from tests.support.topics import administered, create_topics, delete_topic
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(200)]

REFUSED, ANSWERED = {"status": 400}, {"unique": True}


def records() -> list[Record]:
    """Return pairs of one id: answered the second time, corrected, and dead both times."""
    answered = ask("answered", script=[REFUSED, ANSWERED])
    corrected = [ask("corrected", script=REFUSED), ask("corrected", script=ANSWERED)]
    twice = ask("twice", script=[REFUSED, REFUSED, ANSWERED])
    return [answered, answered, *corrected, twice, twice]


async def test_each_record_of_an_id_keeps_its_outcome_when_it_comes_again(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A dead record gets no answer as well, no other dead letter, and no call is made again."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce(records())
        await stage.settle(6)
        # Each id has an outcome, and all are committed: the last one may still be on its way here.
        await stage.verifier.until(lambda: outcomes(stage).total() >= 6, 60)
        before, calls = outcomes(stage), len(stage.calls())
        worker.sigterm()
        assert await worker.wait(40) == 0

        await begin_anew(stage)
        await stage.ready_worker()
        await stage.verifier.until(lambda: outcomes(stage).total() >= 12, 60)

        assert before.total() == 6
        assert outcomes(stage) == before + before
        assert len(stage.calls()) == calls == 6


async def test_corrected_record_at_the_place_of_its_dead_letter_is_answered(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """In a topic that is made anew the place is another record's: its content tells."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce([ask("r-1", script=REFUSED)])
        await stage.settle(1)

        await delete_topic(kafka.bootstrap, f"{stage.prefix}.requests")
        await create_topics(kafka.bootstrap, f"{stage.prefix}.requests")
        await stage.produce([ask("r-1")])
        kinds = [[outcome.kind for outcome in stage.verifier.outcomes["r-1"]]]

        def told() -> bool:
            kinds[0] = [outcome.kind for outcome in stage.verifier.outcomes["r-1"]]
            return len(kinds[0]) >= 2

        await until(told, 60, state=worker.tail)

        assert kinds[0] == ["rejected", None]


@pytest.mark.parametrize("is_restarted", [False, True], ids=["same worker", "restarted"])
async def test_dead_letter_that_is_sent_again_begins_anew(
    kafka: KafkaBroker, tmp_path: Path, is_restarted: bool
) -> None:
    """Its steps left the ledger with it, and a worker that reads them again uses none."""
    log = tmp_path / "noted"
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        stage.extra = {"CHAIN_LOG": str(log)}
        stage.provider.script(REFUSED, ANSWERED, match="h-0 two")
        await stage.open()
        worker = await stage.ready_worker(processors="tests.support.chain")
        await stage.produce([chain("h-0")])
        await stage.settle(1)
        if is_restarted:
            worker.sigterm()
            assert await worker.wait(40) == 0
            await stage.ready_worker(processors="tests.support.chain")
        await stage.produce([chain("h-0")])
        await stage.verifier.until(lambda: len(stage.verifier.outcomes["h-0"]) >= 2, 60)

        assert calls_of(stage)["h-0", "one"] == 2
        assert len(log.read_text().split()) == 2


@pytest.mark.parametrize("is_same", [True, False], ids=["same content", "other content"])
async def test_steps_outlive_the_dead_letter_of_a_later_record_of_their_id(
    kafka: KafkaBroker, tmp_path: Path, is_same: bool
) -> None:
    """A record that waited behind its key has begun when the later one is done with."""
    log = tmp_path / "noted"
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        stage.extra = {"CHAIN_LOG": str(log)}
        stage.provider.script(REFUSED, ANSWERED, match="h-0 one")
        await stage.open()
        worker = await stage.ready_worker(processors="tests.support.chain")
        earlier = replace(chain("h-0", hangs_at=3), key=b"busy")
        later = replace(earlier if is_same else chain("h-0", hangs_at=4), key=b"other")
        await stage.produce([ask("slow", "busy", script={"held": True}), earlier, later])
        # What a commit does not tell of is read again after the kill, and its dead letter repeated.
        await until(partial(finished_in_commit, stage, 2), 60, state=worker.tail)
        stage.provider.let_go()
        await until(lambda: calls_of(stage)["h-0", "two"] == 1, 60, state=worker.tail)

        stage.kill9(worker)
        worker.start()
        await stage.verifier.until(lambda: len(stage.verifier.outcomes["h-0"]) >= 2, 60)

        assert [outcome.kind for outcome in stage.verifier.outcomes["h-0"]] == ["rejected", None]
        assert calls_of(stage)["h-0", "one"] == 2
        assert log.read_text().split() == ["h-0"]


@pytest.mark.parametrize("is_same", [True, False], ids=["same content", "other content"])
async def test_steps_outlive_the_dead_letter_of_a_record_of_their_id_in_another_partition(
    kafka: KafkaBroker, tmp_path: Path, is_same: bool
) -> None:
    """It comes first after a crash; the record itself makes none again.

    A duplicate is given them. One of other content makes its own, beside them.
    """
    log = tmp_path / "noted"
    ids = [f"h-{number}" for number in range(5)]
    hang: dict[str, Any] = {"hang": "headers"}
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        stage.extra = {"CHAIN_LOG": str(log)}
        for id_ in ids:
            stage.provider.script(hang, REFUSED, ANSWERED, ANSWERED, match=f"{id_} two")
        await stage.open()
        worker = await stage.ready_worker(processors="tests.support.chain")
        # What is before them delays them after the crash, and not their duplicates.
        await stage.produce([ask(f"f-{n}", script=[hang, {}], partition=0) for n in range(40)])
        records = [replace(chain(id_), partition=0) for id_ in ids]
        await stage.produce(records)
        await until(lambda: all(calls_of(stage)[id_, "two"] for id_ in ids), 60, state=worker.tail)
        later = records if is_same else [chain(id_, fan_out=0) for id_ in ids]
        await stage.produce([replace(one, key=b"other", partition=1) for one in later])

        stage.kill9(worker)
        worker.start()
        await stage.verifier.until(
            lambda: all(len(stage.verifier.outcomes[id_]) >= 2 for id_ in ids), 90
        )

        died_at = {
            id_: dict(outcome.headers)["__streams.errors.partition"]
            for id_ in ids
            for outcome in stage.verifier.outcomes[id_]
            if outcome.kind
        }
        came_first = [id_ for id_ in ids if died_at[id_] == b"1"]
        assert came_first
        once_each = 1 if is_same else 2
        assert {calls_of(stage)[id_, "one"] for id_ in came_first} == {once_each}
        assert {Counter(log.read_text().split())[id_] for id_ in came_first} == {once_each}


@pytest.mark.parametrize(
    ("store", "is_same"),
    [("memory://", True), ("memory://", False), ("rocksdb://", True)],
    ids=["same content", "other content", "same content, on a disk"],
)
async def test_steps_outlive_those_of_a_dead_letter_that_is_sent_again_to_another_partition(
    kafka: KafkaBroker, tmp_path: Path, store: str, is_same: bool
) -> None:
    """Those of ten are in each of two logs, which a worker with nothing of its own reads."""
    log = tmp_path / "noted"
    ids = [f"h-{number}" for number in range(10)]
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        stage.extra = {"CHAIN_LOG": str(log)}
        for id_ in ids:
            stage.provider.script(REFUSED, {"hang": "headers"}, ANSWERED, match=f"{id_} two")
        await stage.open()
        worker = await stage.ready_worker(processors="tests.support.chain", store=store)
        first = [replace(chain(id_), partition=n % 2) for n, id_ in enumerate(ids)]
        again = first if is_same else [chain(id_, fan_out=0) for id_ in ids]
        await stage.produce(first)
        await stage.produce(replace(one, partition=1 - n % 2) for n, one in enumerate(again))
        await until(
            lambda: all(calls_of(stage)[id_, "two"] == 2 for id_ in ids), 60, state=worker.tail
        )

        stage.kill9(worker)
        await stage.ready_worker(processors="tests.support.chain", store=store)
        await stage.verifier.until(
            lambda: all(any(not one.kind for one in stage.verifier.outcomes[id_]) for id_ in ids),
            90,
        )

        assert {calls_of(stage)[id_, "one"] for id_ in ids} == {2}
        assert Counter(log.read_text().split()) == dict.fromkeys(ids, 2)


def outcomes(stage: Stage) -> Counter[tuple[str, str, str]]:
    """Return what each id got: the kind and place of its dead letters, and its answers."""
    found: Counter[tuple[str, str, str]] = Counter()
    for id, each in stage.verifier.outcomes.items():
        for outcome in each:
            headers = {name: (value or b"").decode() for name, value in outcome.headers}
            what = headers["__streams.errors.offset"] if outcome.kind else str(outcome.value)
            found[id, outcome.kind or "answer", what] += 1
    return found


async def finished_in_commit(stage: Stage, offset: int) -> bool:
    """Whether the group's commit of the one partition names a record as finished."""
    async with administered(stage.broker.bootstrap) as admin:
        offsets = await admin.list_consumer_group_offsets(stage.prefix)
    committed = offsets.get(TopicPartition(f"{stage.prefix}.requests", 0))
    return committed is not None and offset in decode(committed.offset, committed.metadata).finished


async def begin_anew(stage: Stage) -> None:
    """Have the group begin at the first record again."""
    place = TopicPartition(f"{stage.prefix}.requests", 0)
    async with AIOKafkaConsumer(
        bootstrap_servers=stage.broker.bootstrap, group_id=stage.prefix, enable_auto_commit=False
    ) as consumer:
        consumer.assign([place])
        await consumer.commit({place: 0})
