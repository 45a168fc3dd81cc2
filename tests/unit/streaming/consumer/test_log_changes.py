"""Logs that changed under their position: each goes on at its start, and says why."""

from faust.types import TP

from streamapp.streaming.consumer.log_changes import LogChanges

T0, OTHER = TP("llm.requests", 0), TP("llm.prompts", 0)


class FakeLogs:
    def __init__(self, *, is_new: bool = False, **starts: int) -> None:
        self.is_new = is_new
        self.starts = {T0: starts.get("requests", 0), OTHER: starts.get("prompts", 0)}
        self.gone_on: list[tuple[TP, int, int | None]] = []

    def has_committed(self, tp: TP) -> bool:
        return not self.is_new

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        return {tp: self.starts[tp] for tp in partitions}

    async def go_on_at(self, tp: TP, offset: int, *, behind: int | None = None) -> None:
        self.gone_on.append((tp, offset, behind))


class Anew:
    def __init__(self) -> None:
        self.begun: list[tuple[TP, int]] = []
        self.reasons: list[str] = []
        self.changes = LogChanges(
            {T0.topic},
            begin_anew=self._begin,
            on_change=self.reasons.append,
        )

    async def _begin(self, tp: TP, offset: int) -> None:
        self.begun.append((tp, offset))


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
    assert (anew.begun, anew.reasons) == ([], [])


async def test_partition_that_goes_out_of_range_meanwhile_ends_no_look() -> None:
    """The client's thread notes them while the app's loop goes through them."""
    logs, positions = FakeLogs(prompts=7), {OTHER: 3}

    class Inputs(frozenset[str]):
        def __contains__(self, topic: object) -> bool:
            positions[TP("llm.spend", len(positions))] = 1
            return super().__contains__(topic)

    async def begin(tp: TP, offset: int) -> None: ...

    changes = LogChanges(Inputs(), begin_anew=begin, on_change=lambda reason: None)
    changes.look_beside(logs, positions)
    assert changes._following is not None
    await changes._following

    assert logs.gone_on == [(OTHER, 7, None)]
