"""Logs that changed under their position: each goes on at its start, and says why."""

from collections.abc import Collection, Mapping

from faust.types import TP

from streamapp.streaming.consumer.log_changes import IDS_S, LogChanges
from streamapp.streaming.window.finished_offsets import decode
from streamapp.streaming.window.partition_state import Progress

T0, OTHER = TP("llm.requests", 0), TP("llm.prompts", 0)
OLD, NEW = (bytes([number]) * 16 + b"here" for number in (1, 2))


class FakeLogs:
    def __init__(self, *, is_new: bool = False, **starts: int) -> None:
        self.is_new = is_new
        self.starts = {T0: starts.get("requests", 0), OTHER: starts.get("prompts", 0)}
        self.gone_on: list[tuple[TP, int, int | None]] = []
        self.committed: list[Mapping[TP, Progress]] = []
        #: What any broker tells, and what all of them agree about.
        self.ids = self.agreed = {T0.topic: OLD}
        self.read_of: dict[TP, bytes] = {}

    def assignment(self) -> set[TP]:
        return {T0, OTHER}

    async def topic_ids(
        self, topics: Collection[str], *, every_broker: bool = False
    ) -> dict[str, bytes]:
        return self.agreed if every_broker else self.ids

    def has_committed(self, tp: TP) -> bool:
        return not self.is_new

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        return {tp: self.starts[tp] for tp in partitions}

    async def commit_progress(self, progress: Mapping[TP, Progress]) -> bool:
        self.committed.append(progress)
        return True

    async def go_on_at(self, tp: TP, offset: int, *, behind: int | None = None) -> None:
        self.gone_on.append((tp, offset, behind))


class Anew:
    def __init__(self) -> None:
        self.begun: list[tuple[TP, int]] = []
        #: The ids that the starts were committed with.
        self.ids: list[bytes] = []
        self.reasons: list[str] = []
        self.heard: list[TP] = []
        self.now = 0.0
        self.changes = LogChanges(
            {T0.topic},
            begin_anew=self._begin,
            on_change=self.reasons.append,
            on_begun=self._hear,
            clock=lambda: self.now,
        )

    async def _begin(self, starts: Mapping[TP, Progress]) -> None:
        for tp, start in starts.items():
            self.begun.append((tp, start.offset))
            self.ids.append(decode(start.offset, start.metadata).topic_id)

    async def _hear(self, tp: TP) -> None:
        self.heard.append(tp)


async def test_start_that_passed_the_position_is_a_hole() -> None:
    """What retention deleted is counted, and the window learns that nothing is between."""
    anew, logs = Anew(), FakeLogs(requests=40)

    await anew.changes.follow(logs, {T0: 30})

    assert logs.gone_on == [(T0, 40, 30)]
    assert (anew.begun, anew.reasons) == ([], ["start_passed"])


async def test_start_of_a_new_group_is_no_loss() -> None:
    """What was deleted before it came was never its own."""
    anew, logs = Anew(), FakeLogs(requests=40, is_new=True)

    await anew.changes.follow(logs, {T0: 0})

    assert logs.gone_on == [(T0, 40, 0)]
    assert (anew.begun, anew.reasons) == ([], [])


async def test_start_that_passed_the_first_offset_is_a_loss_of_a_known_group() -> None:
    """It had committed 0: what came after that was its own."""
    anew, logs = Anew(), FakeLogs(requests=40)

    await anew.changes.follow(logs, {T0: 0})

    assert logs.gone_on == [(T0, 40, 0)]
    assert anew.reasons == ["start_passed"]


async def test_shorter_log_is_begun_anew() -> None:
    """Its records are others than those that were answered."""
    anew, logs = Anew(), FakeLogs(requests=0)

    await anew.changes.follow(logs, {T0: 30})

    assert logs.gone_on == []
    assert (anew.begun, anew.reasons) == ([(T0, 0)], ["shorter"])


async def test_other_topics_are_read_from_their_start() -> None:
    """Tables over topics look themselves after what they miss."""
    anew, logs = Anew(), FakeLogs(prompts=7)

    await anew.changes.follow(logs, {OTHER: 3})

    assert logs.gone_on == [(OTHER, 7, None)]
    assert (anew.begun, anew.reasons, anew.heard) == ([], [], [])


async def test_table_hears_that_its_log_is_another_one() -> None:
    """What it knows of the old one is no more, and offsets below are new."""
    anew, logs = Anew(), FakeLogs(prompts=0)

    await anew.changes.follow(logs, {OTHER: 3})

    assert anew.heard == [OTHER]
    assert logs.gone_on == [(OTHER, 0, None)]


async def test_partition_that_goes_out_of_range_meanwhile_ends_no_look() -> None:
    """The client's thread notes them while the app's loop goes through them."""
    logs, positions = FakeLogs(prompts=7), {OTHER: 3}

    class Inputs(frozenset[str]):
        def __contains__(self, topic: object) -> bool:
            positions[TP("llm.spend", len(positions))] = 1
            return super().__contains__(topic)

    async def begin(starts: Mapping[TP, Progress]) -> None: ...

    async def hear(tp: TP) -> None:
        """Do nothing."""

    changes = LogChanges(Inputs(), begin_anew=begin, on_change=lambda reason: None, on_begun=hear)
    changes.look_beside(logs, positions)
    assert changes._following is not None
    await changes._following

    assert logs.gone_on == [(OTHER, 7, None)]


async def test_input_with_another_id_is_begun_anew_and_told_once() -> None:
    """Its offsets are those of another log, however many it holds; it is tried until it is so."""
    anew, logs = Anew(), FakeLogs(requests=3)

    for id in (OLD, OLD, NEW, NEW):
        logs.ids = logs.agreed = {T0.topic: id}
        await anew.changes.compare(logs)
    logs.read_of[T0] = NEW  # as of the seek, once the group took the start
    await anew.changes.compare(logs)

    assert (anew.begun, anew.ids) == ([(T0, 3)] * 2, [NEW] * 2)
    assert anew.reasons == ["made_anew"]


async def test_position_of_a_topic_that_is_no_more_is_begun_anew_at_the_first_look() -> None:
    """The partition was taken over by a commit of it, while not all brokers knew of the change."""
    anew, logs = Anew(), FakeLogs()
    logs.read_of = {T0: OLD}
    logs.ids = logs.agreed = {T0.topic: NEW}

    assert await anew.changes.compare(logs) == {T0}

    assert anew.ids == [NEW]


async def test_start_is_committed_before_the_drain() -> None:
    """A flow that begins with new records would begin at the end if its worker died in that."""
    logs = FakeLogs(requests=3)
    logs.read_of = {T0: OLD}
    logs.ids = logs.agreed = {T0.topic: NEW}
    committed_by_then: list[int] = []

    async def drain_and_begin(starts: Mapping[TP, Progress]) -> None:
        committed_by_then.extend(each[T0].offset for each in logs.committed)

    async def hear(tp: TP) -> None: ...

    changes = LogChanges(
        {T0.topic},
        begin_anew=drain_and_begin,
        on_change=lambda reason: None,
        on_begun=hear,
    )
    await changes.compare(logs)

    assert committed_by_then == [3]


async def test_take_over_is_told_once() -> None:
    """A commit of a topic that is no more stands until a record of today's is finished."""
    anew = Anew()

    for id in (NEW, NEW, OLD):
        anew.changes.tell({T0: id})

    assert anew.reasons == ["made_anew"] * 2


async def test_broker_that_is_behind_changes_nothing() -> None:
    """It tells an id that is no more; nothing is begun anew before all agree."""
    anew, logs = Anew(), FakeLogs()
    await anew.changes.compare(logs)

    logs.ids, logs.agreed = {T0.topic: NEW}, {}
    await anew.changes.compare(logs)
    logs.ids = {}
    await anew.changes.compare(logs)

    assert (anew.begun, anew.reasons) == ([], [])


async def test_ids_are_compared_every_few_seconds() -> None:
    """A position out of range is looked at at once, and never taken for a shorter log."""
    anew, logs = Anew(), FakeLogs()

    async def look(at: float, positions: dict[TP, int]) -> None:
        anew.now = at
        anew.changes.look(logs, positions)
        assert anew.changes._following is not None
        await anew.changes._following

    await look(0.0, {})
    logs.ids = logs.agreed = {T0.topic: NEW}
    await look(IDS_S / 2, {})
    assert anew.begun == []
    await look(IDS_S, {})
    assert anew.begun == [(T0, 0)]
    logs.read_of, logs.ids = {T0: NEW}, {T0.topic: OLD}
    logs.agreed = logs.ids
    await look(IDS_S + 0.1, {T0: 30})
    assert anew.reasons == ["made_anew", "made_anew"]
