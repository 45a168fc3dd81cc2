"""What is committed is what the window says, with what is finished behind it."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.consumer import Consumer as FaustConsumer
from faust.types import TP

from streamapp.streaming.consumer.consumer import Consumer
from streamapp.streaming.consumer.ordered_commits import OrderedCommits
from streamapp.streaming.window.finished_offsets import encode
from streamapp.streaming.window.partition_state import Progress

T0, T1 = TP("llm.requests", 0), TP("llm.requests", 1)


class Thread:
    """The client's thread, whose group takes commits or does not."""

    def __init__(self) -> None:
        self.committed: dict[TP, Progress] = {}
        self.asked: list[Mapping[TP, Progress]] = []
        self.takes = True
        self.ends: dict[TP, int] = {}
        self.places: dict[TP, int | None] = {}

    def log_end(self, tp: TP) -> int | None:
        return self.ends.get(tp)

    async def commit_progress(
        self, progress: Mapping[TP, Progress], *, until_taken: bool = False
    ) -> Mapping[TP, Progress]:
        self.asked.append(dict(progress))
        taken = dict(progress) if self.takes else {}
        self.committed.update(taken)
        return taken


class Commits:
    """Just the part of the consumer that commits."""

    force_commit = OrderedCommits.force_commit
    commit_progress = OrderedCommits.commit_progress
    perform_seek = OrderedCommits.perform_seek
    finished = OrderedCommits.finished
    has_committed = OrderedCommits.has_committed
    may_redeliver = OrderedCommits.may_redeliver
    _member = OrderedCommits._member

    def __init__(self) -> None:
        self._thread = Thread()
        self._committed_offset: dict[TP, int | None] = {}
        self._read_offset: dict[TP, int | None] = {}
        self._finished: dict[TP, tuple[Progress, frozenset[int]]] = {}
        self.now: dict[TP, Progress] = {}
        self.told: dict[TP, int] = {}
        nothing = lambda *_: None  # noqa: E731
        self.app = SimpleNamespace(
            sensors=SimpleNamespace(on_commit_initiated=nothing, on_commit_completed=nothing),
            tables=SimpleNamespace(on_commit=nothing),
            monitor=SimpleNamespace(on_tp_commit=self.told.update),
            inputs={T0.topic},
        )

    def progress(self) -> dict[TP, Progress]:
        return self.now

    def assignment(self) -> set[TP]:
        return {T0}

    async def seek_to_committed(self) -> Mapping[TP, int | None]:
        return self._thread.places

    async def commit(self) -> Any:
        return await self.force_commit()  # type: ignore[misc]


@pytest.fixture
def commits() -> Commits:
    """One partition, nothing committed."""
    return Commits()


async def test_progress_is_committed_once(commits: Commits) -> None:
    """The group is not asked again for what it has."""
    commits.now = {T0: Progress(8)}

    assert await commits.commit()
    assert not await commits.commit()

    assert commits._thread.asked == [{T0: Progress(8)}]
    assert commits._committed_offset == {T0: 8}


async def test_offset_that_stands_still_is_committed_for_what_is_behind_it(
    commits: Commits,
) -> None:
    """Behind a held record only the metadata moves, and that is what a crash needs."""
    commits.now = {T0: Progress(8)}
    await commits.commit()
    commits.now = {T0: Progress(8, encode(8, {9, 10}))}

    assert await commits.commit()

    assert len(commits._thread.asked) == 2
    assert commits.finished(T0, 8) == {9, 10}  # type: ignore[misc]
    assert commits.finished(T1, 0) == frozenset()  # type: ignore[misc]


async def test_record_may_come_again_until_a_commit_says_that_it_is_finished(
    commits: Commits,
) -> None:
    """By the offset, or by what stands beside it in the last commit that the group took."""

    def may_come_again(*offsets: int, tp: TP = T0) -> list[int]:
        return [one for one in offsets if commits.may_redeliver(tp, one)]  # type: ignore[misc]

    assert may_come_again(0, 7) == [0, 7], "nothing is committed"
    commits.now = {T0: Progress(8, encode(8, {10}))}
    await commits.commit()
    assert may_come_again(7, 8, 9, 10, 11) == [8, 9, 11]
    assert may_come_again(7, tp=T1) == [7]

    commits._thread.takes = False
    commits.now = {T0: Progress(8, encode(8, {9, 10}))}
    await commits.commit()
    assert may_come_again(9, 10) == [9], "the commit failed"

    commits._thread.takes = True
    await commits.commit()
    assert may_come_again(9, 10) == []
    commits.now = {T0: Progress(11)}
    await commits.commit()
    assert may_come_again(10, 11) == [11]

    commits._thread.ends = {T0: 13, T1: 1}
    assert may_come_again(11, 12, 13, 50) == [11, 12], "the input was made anew, and is shorter"
    assert may_come_again(0, 1, tp=T1) == [0]


async def test_commit_that_failed_is_not_noted_and_comes_again(commits: Commits) -> None:
    """Faust notes it as committed all the same, and would never try again."""
    commits.now = {T0: Progress(8)}
    commits._thread.takes = False
    assert not await commits.commit()
    assert commits._committed_offset == {}

    commits._thread.takes = True
    assert await commits.commit()
    assert commits._committed_offset == {T0: 8}


async def test_first_offset_is_committed_as_any(commits: Commits) -> None:
    """A group that was set back to 0, or began at the end of an empty topic, is no new one."""
    assert not commits.has_committed(T0)  # type: ignore[misc]
    commits.now = {T0: Progress(0)}

    await commits.commit()

    assert commits.has_committed(T0)  # type: ignore[misc]


async def test_partition_of_another_worker_is_not_committed(commits: Commits) -> None:
    """What was taken away meanwhile is the next owner's to commit."""
    commits.now = {T1: Progress(5)}

    assert not await commits.commit()

    assert commits._thread.asked == []


@pytest.mark.parametrize("name", ["force_commit", "_add_gap"])
def test_the_worker_commits_in_this_way(name: str) -> None:
    """Faust's consumer has what we replace, and the worker's has ours."""
    assert hasattr(FaustConsumer, name)
    assert getattr(Consumer, name) is getattr(OrderedCommits, name)


async def test_seek_forgets_what_the_group_has_no_more(commits: Commits) -> None:
    """A drain commits to the last; the group forgets it with the topic, which is made anew."""
    commits.now = {T0: Progress(8)}
    await commits.commit()
    commits._thread.places = {T0: None, T1: 5}

    await commits.perform_seek()  # type: ignore[misc]

    assert commits._committed_offset == commits._read_offset == {T0: None, T1: 5}
    assert commits.may_redeliver(T0, 3)  # type: ignore[misc]


async def test_lag_is_known_before_anything_is_committed(commits: Commits) -> None:
    """A worker that starts in an outage commits nothing, and its alert had no data."""
    commits._thread.places = {T0: None, T1: 5, TP("app-answers-changelog", 0): None}

    await commits.perform_seek()  # type: ignore[misc]

    assert commits.told == {T0: 0, T1: 5}
