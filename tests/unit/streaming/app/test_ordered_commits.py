from collections import defaultdict

import pytest
from faust.transport.consumer import Consumer as FaustConsumer
from faust.types import TP

from streamapp.streaming.app.consumer import Consumer
from streamapp.streaming.app.ordered_commits import OrderedCommits

T0 = TP("llm.requests", 0)


class Offsets:
    """Just the part of the consumer that turns acks into an offset to commit."""

    _new_offset = OrderedCommits._new_offset
    _add_gap = OrderedCommits._add_gap

    def __init__(self) -> None:
        self._acked: dict[TP, list[int]] = defaultdict(list)
        self._acked_index: dict[TP, set[int]] = defaultdict(set)

    def ack(self, *offsets: int) -> None:
        self._acked[T0].extend(offsets)
        self._acked_index[T0].update(offsets)

    def new_offset(self) -> int | None:
        return self._new_offset(T0)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("acked", "committed"),
    [((5,), 6), ((5, 6, 7), 8), ((5, 9), 10), ((1_000_000_000,), 1_000_000_001)],
    ids=["one", "three", "around a hole", "after a long one"],
)
def test_the_offset_after_the_last_ack_is_committed(acked: tuple[int, ...], committed: int) -> None:
    """The window acks in order, and around a hole: its last ack says what is finished."""
    offsets = Offsets()

    offsets.ack(*acked)

    assert offsets.new_offset() == committed


async def test_what_faust_skipped_is_not_committed_before_it_is_acked() -> None:
    """A jump that Faust noted moves no commit, however many acks reach into it."""
    offsets = Offsets()
    await offsets._add_gap(T0, 6, 50)  # type: ignore[misc]

    offsets.ack(5, 6, 7)

    assert [offsets.new_offset(), offsets.new_offset()] == [8, None]


def test_acks_are_forgotten_once_they_are_committed() -> None:
    """Nothing is kept of what was committed, and what comes again can be acked again."""
    offsets = Offsets()
    offsets.ack(5, 6)

    offsets.new_offset()

    assert not offsets._acked[T0]
    assert not offsets._acked_index[T0]


@pytest.mark.parametrize("name", ["_new_offset", "_add_gap"])
def test_the_worker_commits_in_this_way(name: str) -> None:
    """Faust's consumer has what we replace, and the worker's has ours."""
    assert hasattr(FaustConsumer, name)
    assert getattr(Consumer, name) is getattr(OrderedCommits, name)
