import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from faust.types import TP

from streamapp.errors import InvalidRecord, TooLarge
from streamapp.flows.file_flow import FileFlow
from streamapp.processors.registry import Registry
from streamapp.records.response import Response
from streamapp.settings import FlowSettings
from streamapp.streaming.flows.outlet import FlowOutlet
from streamapp.streaming.flows.partition_counts import PartitionCounts

PLACE = TP("in", 2)


@dataclass
class FakeTopic:
    name: str

    def get_topic_name(self) -> str:
        return self.name


@dataclass
class FakeMessage:
    value: bytes | None
    tp: TP = PLACE
    offset: int = 7
    key: bytes | None = b"k"
    generation_id: int = 1
    headers: Any = None
    timestamp: float = 1_700_000_000.0


def _outlet(
    counts: dict[str, int],
    *,
    is_chained: bool = False,
    compacted: Sequence[str] = (),
    **settings: Any,
) -> FlowOutlet:
    table: dict[str, Any] = {"input": "in", "output": "out", "type": "summarize"}
    table |= {"fields": {"text": "{{ value.t }} at {{ timestamp }}"}, "shape": "merge"}
    table |= {"merge_into": "short"} | settings
    flow = FileFlow("f", FlowSettings(**table), Registry.load())
    topics: Any = {name: FakeTopic(name) for name in ("out", "replies", "in-dlt")}
    return FlowOutlet(
        flow,
        topics=topics,
        counts=PartitionCounts(counts),
        compacted=compacted,
        is_chained=is_chained,
    )


def _answer(output: Any) -> bytes:
    return Response(
        id="in-2-7",
        type="summarize",
        output=output,
        model="m",
        provider="p",
        created_at=datetime.now(UTC),
    ).encode()


def test_a_record_becomes_a_request() -> None:
    """The flow sees value, place and time of the record as Kafka has them."""
    request = _outlet({}).decode(FakeMessage(b'{"t": "a"}'))

    assert request is not None
    assert request.model_dump()["text"] == "a at 2023-11-14 22:13:20+00:00"


@pytest.mark.parametrize(("count", "partition"), [(3, 2), (5, None)])
def test_an_answer_stays_in_its_partition_where_there_are_as_many(
    count: int, partition: int | None
) -> None:
    """With equal counts the output keeps the partition, else its key decides."""
    outlet = _outlet({"in": 3, "out": count, "in-dlt": count})

    [record] = outlet.records(FakeMessage(b'{"t": "a"}'), _answer("b"))

    assert json.loads(record.value or b"") == {"t": "a", "short": "b"}
    assert (record.key, record.partition) == (b"k", partition)
    assert outlet.dead_letter_partition(2) == partition


def test_the_same_answer_gives_the_same_records() -> None:
    """What is emitted again after a crash is equal to the byte, headers included."""
    outlet, message, answer = _outlet({}), FakeMessage(b'{"t": 1.10}'), _answer("b")

    assert outlet.records(message, answer) == outlet.records(message, answer)


@pytest.mark.parametrize(
    ("is_chained", "headers", "id"),
    [
        (False, [("streamapp-id", b"shop-0-1")], "in-2-7"),
        (True, [("streamapp-id", b"shop-0-1")], "shop-0-1"),
        (True, [("streamapp-id", b"shop-0-1"), ("streamapp-part", b"2")], "shop-0-1.2"),
        (True, None, "in-2-7"),
    ],
)
def test_a_record_of_a_chain_is_known_by_what_it_was_made_of(
    is_chained: bool, headers: Any, id: str
) -> None:
    """Written twice by the flow before, it is one record; elsewhere the header means nothing."""
    outlet = _outlet({}, is_chained=is_chained)

    assert outlet.id_of(FakeMessage(b'{"t": "a"}', headers=headers)) == id


def test_a_record_without_a_key_goes_to_one_partition_however_often_it_is_written() -> None:
    """A second copy in another partition would find another ledger, and be paid again."""
    outlet = _outlet({"in": 3, "out": 5})
    message = FakeMessage(b'{"t": "a"}', key=None)

    places = {outlet.records(message, _answer("b"))[0].partition for _ in range(20)}

    assert places == {PartitionCounts({"out": 5}).any("out", "in-2-7")}
    assert places < set(range(5))


def test_an_answer_goes_where_the_record_asks() -> None:
    """A topic of the flow's that the record names takes its answer, in place of the output."""
    outlet = _outlet({}, reply_topics=("replies",))
    message = FakeMessage(b'{"t": "a"}', headers=[("reply-to", b"replies")])

    [record] = outlet.records(message, _answer("b"))

    assert record.topic.get_topic_name() == "replies"


def test_a_record_that_no_topic_takes_is_too_large() -> None:
    """A source just below the limit and an answer together end as a dead letter, not the worker."""
    source = b'{"t": "%b"}' % (b"x" * 900_000)

    with pytest.raises(TooLarge, match=r"^\[flows\.f\] the record for out has"):
        _outlet({}).records(FakeMessage(source), _answer("y" * 200_000))


def test_a_compacted_topic_is_given_nothing_without_a_key() -> None:
    """It would refuse the record for ever; a flow with one topic refuses it before the call."""
    outlet = _outlet({"in": 4, "out": 4}, compacted=["out"])
    value, problem = (
        b'{"t": "x"}',
        r"^\[flows\.f\] out is compacted and takes no record without a key",
    )

    assert outlet.decode(FakeMessage(value)) is not None
    with pytest.raises(InvalidRecord, match=problem):
        outlet.decode(FakeMessage(value, key=None))


def test_a_reply_decides_which_topic_takes_it() -> None:
    """With several topics the answer says where it goes; only then it is refused."""
    outlet = _outlet({"in": 4, "out": 4}, compacted=["out"], reply_topics=("replies",))
    asking = FakeMessage(b'{"t": "x"}', key=None, headers=[("reply-to", b"replies")])
    silent = FakeMessage(b'{"t": "x"}', key=None)

    assert outlet.decode(asking) is not None
    assert len(outlet.records(asking, _answer("y"))) == 1
    assert outlet.decode(silent) is not None
    with pytest.raises(InvalidRecord, match="out is compacted"):
        outlet.records(silent, _answer("y"))


@pytest.mark.parametrize(
    ("settings", "value", "id"),
    [
        ({"id": "{{ value.n }}"}, b'{"n": 12}', "12"),
        ({"id": "{{ value.n }}"}, b"{}", None),
        ({"id": "{{ value.n }}"}, b"{", None),
        ({}, b'{"id": "x"}', None),
        ({"id": "{{ value.n }}", "shape": "response", "merge_into": None}, b"\xff", None),
    ],
)
def test_id_of_a_record_that_is_wrong(settings: dict[str, Any], value: bytes, id: str) -> None:
    """What the flow's template gives; nothing where that fails, too."""
    assert _outlet({}, **settings).own_id(FakeMessage(value)) == id
