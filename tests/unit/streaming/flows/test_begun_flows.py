"""The mark of the flows that have begun: what is written, when, and what cannot be."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

import pytest
from aiokafka.errors import IllegalStateError, KafkaError, TopicAuthorizationFailedError
from faust.types import TP
from structlog.testing import capture_logs

from streamapp.errors import ConfigurationError
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import TopicSpec
from streamapp.streaming.flows.begun_flows import (
    LOOK_S,
    MOST,
    RENEW_S,
    BegunFlows,
    _of,
    create_begun_topic,
    decode,
    encode,
)
from streamapp.streaming.window.partition_state import Progress

PLACE, ID = TP("llm.flows", 0), b"an id"


class Group:
    """What the group has; a test sets what becomes of the next commits.

    Attributes:
        writes: Every mark that was committed.
        refusal: Raised by each commit.
        behind_commit: Called after one, as another worker that writes at that moment.
    """

    def __init__(self) -> None:
        self.mark: dict[TP, Progress] = {}
        self.writes: list[str] = []
        self.refusal: KafkaError | None = None
        self.behind_commit: Callable[[], object] = lambda: None

    async def stored(self, partitions: Collection[TP]) -> Mapping[TP, Progress]:
        return self.mark

    async def commit_beside(self, place: TP, text: str) -> None:
        if self.refusal:
            raise self.refusal
        self.writes.append(text)
        self.mark = {place: Progress(0, text)}
        behind, self.behind_commit = self.behind_commit, lambda: None
        behind()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def flows_of(group: Group, *inputs: str, clock: Callable[[], float] | None = None) -> BegunFlows:
    return BegunFlows(inputs, PLACE.topic, cast(Any, group), clock=clock or Clock())


async def begun_of(group: Group, *inputs: str) -> set[str]:
    """Return which of the inputs a new worker finds to be begun."""
    flows = flows_of(group, *inputs)
    await flows.look()
    return {input for input in inputs if flows.is_made_anew(input, b"another id")}


async def test_what_one_worker_notes_another_one_finds() -> None:
    """Once: it is not written again at each assignment."""
    group = Group()
    flows = flows_of(group, "a", "b")

    await flows.note({"a": ID})
    await flows.note({"a": ID})

    assert await begun_of(group, "a", "b") == {"a"}
    assert len(group.writes) == 1


async def test_flow_whose_offsets_are_lost_is_new_where_its_topic_is_the_same() -> None:
    """Kafka forgets an idle input's offsets where the flow is left out for a while.

    Put back, it answered all that the topic held, as if that had been made anew.
    """
    group = Group()
    await flows_of(group, "a").note({"a": ID})
    flows = flows_of(group, "a", "b")
    await flows.look()

    assert not flows.is_made_anew("a", ID)
    assert flows.is_made_anew("a", b"another id")
    assert flows.is_made_anew("a", b""), "a broker that tells no ids"
    assert not flows.is_made_anew("b", ID)


async def test_topic_that_was_made_anew_is_noted_by_its_new_id() -> None:
    """In place of the old one."""
    group = Group()
    await flows_of(group, "a", "b").note({"a": ID, "b": ID})
    await flows_of(group, "a", "b").note({"a": b"new"})
    flows = flows_of(group, "a", "b")
    await flows.look()

    assert not flows.is_made_anew("a", b"new")
    assert flows.is_made_anew("a", ID)
    assert flows.is_made_anew("b", b"new")


async def test_broker_that_tells_no_id_for_a_moment_takes_none_away() -> None:
    """The flow would look like one whose input was made anew."""
    group = Group()
    flows = flows_of(group, "a")
    await flows.note({"a": ID})
    await flows.note({"a": b""})

    assert not flows.is_made_anew("a", ID)


async def test_what_others_noted_stays() -> None:
    """Each worker knows the flows of its own partitions."""
    group = Group()
    await flows_of(group, "a", "b").note({"a": ID})
    await flows_of(group, "a", "b").note({"b": ID})

    assert await begun_of(group, "a", "b") == {"a", "b"}


async def test_what_another_worker_writes_over_it_is_noted_again() -> None:
    """Between the look at the mark and the commit of a larger one it may be written."""
    group = Group()
    other = encode(decode_of("b"))
    group.behind_commit = lambda: group.mark.update({PLACE: Progress(0, other)})

    await flows_of(group, "a", "b").note({"a": ID})

    assert await begun_of(group, "a", "b") == {"a", "b"}
    assert len(group.writes) == 2


async def test_flow_that_was_removed_is_new_when_it_comes_back() -> None:
    """Its offsets are given up by then, and nobody made its input anew."""
    group = Group()
    await flows_of(group, "a", "b").note({"a": ID, "b": ID})

    await flows_of(group, "a").note({"a": ID})

    assert await begun_of(group, "a", "b") == {"a"}


async def test_mark_is_committed_again_before_it_expires() -> None:
    """A group that runs loses what it has of topics that it does not read."""
    group, clock = Group(), Clock()
    flows = flows_of(group, "a", clock=clock)
    await flows.renew()  # nothing has begun
    await flows.note({"a": ID})
    await flows.renew()
    assert len(group.writes) == 1

    clock.now = RENEW_S
    await flows.renew()
    await flows.renew()

    assert len(group.writes) == 2


async def test_mark_that_another_worker_cut_down_is_whole_again() -> None:
    """One that does not have a flow leaves it out, and may stop again."""
    group, clock = Group(), Clock()
    flows = flows_of(group, "a", "b", clock=clock)
    await flows.note({"a": ID, "b": ID})
    await flows_of(group, "b").note({"b": b"new"})
    assert await begun_of(group, "a", "b") == {"b"}

    await flows.note({"a": ID})
    assert await begun_of(group, "a", "b") == {"a", "b"}

    await flows_of(group, "b").note({"b": b"newer"})
    clock.now = LOOK_S
    await flows.renew()
    assert await begun_of(group, "a", "b") == {"a", "b"}


async def test_mark_that_two_workers_wrote_at_once_is_whole_after_a_look() -> None:
    """The one whose commit came later does not see what it left out."""
    group, clock = Group(), Clock()
    first, other = (flows_of(group, "a", "b", clock=clock) for _ in range(2))
    await other.note({"b": ID})
    group.behind_commit = lambda: group.mark.update({PLACE: Progress(0, encode(decode_of("a")))})
    await first.note({"a": ID})
    assert await begun_of(group, "a", "b") == {"a"}

    clock.now = LOOK_S
    await other.renew()

    assert await begun_of(group, "a", "b") == {"a", "b"}


async def test_workers_with_other_flows_leave_each_other_theirs_between_renewals() -> None:
    """Else each would write over the other's mark at each look."""
    group, clock = Group(), Clock()
    first = flows_of(group, "a", "b", clock=clock)
    other = flows_of(group, "b", "c", clock=clock)
    await first.note({"a": ID, "b": ID})
    await other.note({"b": ID, "c": ID})  # its first commit is a renewal
    for clock.now in range(0, 10 * int(LOOK_S), int(LOOK_S)):
        await first.renew()
        await other.renew()

    assert await begun_of(group, "a", "b", "c") == {"a", "b", "c"}
    assert len(group.writes) == 3


async def test_worker_that_gave_an_input_back_notes_nothing_of_it() -> None:
    """It may have been made anew since, and have another id."""
    group, clock = Group(), Clock()
    past, today = (flows_of(group, "a", clock=clock) for _ in range(2))
    await past.note({"a": ID})
    await past.note({})
    await today.note({"a": b"new"})
    clock.now = LOOK_S
    await past.renew()
    await today.look()

    assert not today.is_made_anew("a", b"new")
    assert not past.is_made_anew("a", b"new"), "as it looked"


async def test_mark_that_is_not_taken_is_told_once_and_tried_again() -> None:
    """The flow runs on: the mark is not needed before its input is made anew."""
    group, clock = Group(), Clock()
    group.refusal = TopicAuthorizationFailedError()
    flows = flows_of(group, "a", clock=clock)

    with capture_logs() as lines:
        await flows.note({"a": ID})
        clock.now = LOOK_S
        await flows.renew()
    [line] = lines
    assert (line["event"], line["topic"]) == ("flows.begin_not_noted", "llm.flows")
    assert line["reason"] == "TopicAuthorizationFailedError"
    assert "create the topic" in line["hint"]

    group.refusal, clock.now = None, 2 * LOOK_S
    await flows.renew()
    assert await begun_of(group, "a") == {"a"}


async def test_broker_that_keeps_no_metadata_is_asked_once() -> None:
    """As the embedded one."""
    group, clock = Group(), Clock()
    group.behind_commit = lambda: group.mark.update({PLACE: Progress(0, "")})
    flows = flows_of(group, "a", clock=clock)

    await flows.note({"a": ID})
    await flows.renew()

    assert len(group.writes) == 1


async def test_worker_that_is_no_member_notes_nothing_and_says_nothing() -> None:
    """The next assignment does."""
    group = Group()
    group.refusal = IllegalStateError()

    with capture_logs() as lines:
        await flows_of(group, "a").note({"a": ID})

    assert lines == []


async def test_worker_that_may_not_create_the_topic_starts_all_the_same() -> None:
    """As in the versions that had none; what to create is said."""

    async def refuse(settings: Settings, specs: Sequence[TopicSpec]) -> None:
        assert [(spec.name, spec.partitions) for spec in specs] == [("llm.flows", 1)]
        raise ConfigurationError("topic llm.flows cannot be created")

    with capture_logs() as lines:
        await create_begun_topic(Settings(_env_file=None), create=refuse)

    [line] = lines
    assert line["event"] == "flows.begin_not_noted"
    assert "create the topic" in line["hint"]


def test_mark_of_very_many_flows_fits() -> None:
    """A broker takes 4,096 characters."""
    hashes = [number.to_bytes(6) for number in range(2 * MOST)]

    assert len(encode(hashes)) <= 4_096
    assert len(decode(encode(hashes))) == MOST


@pytest.mark.parametrize("text", ["", "1r:7:AQE=", "1f:?", "2f:AAAAAAAA", "1f:AAA"])
def test_what_is_no_mark_says_nothing(text: str) -> None:
    """Tools copy metadata, and later versions write others."""
    assert decode(text) == frozenset()


def decode_of(input: str) -> frozenset[bytes]:
    """Return the entry of an input, as a worker writes it."""
    return frozenset({flows_of(Group(), input)._names[input] + _of(ID)})
