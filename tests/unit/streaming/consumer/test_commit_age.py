import pytest
from faust.types import TP

from streamapp.streaming.consumer.commit_age import CommitAge
from streamapp.streaming.window.partition_state import PartitionState
from tests.fakes import FakeClock

T0, T1 = TP("llm.requests", 0), TP("llm.requests", 1)


class Fixture:
    """Two partitions, of which the first has finished records up to offset 7."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.partitions = {T0: PartitionState(T0, 9), T1: PartitionState(T1, 0)}
        self.partitions[T0].next_commit = 8
        self.committed: dict[TP, int] = {}
        self.commit_age = CommitAge(self.clock)
        self.look_after(0)

    def look_after(self, seconds: float) -> float:
        self.clock.advance(seconds)
        self.commit_age.look(self.partitions, self.committed.get)
        return self.commit_age.age_s


@pytest.fixture
def fixture() -> Fixture:
    """Looked at once."""
    return Fixture()


def test_age_grows_while_no_commit_moves(fixture: Fixture) -> None:
    """What is finished and not committed grows old."""
    assert fixture.look_after(4) == 4
    assert fixture.look_after(4) == 8


def test_commit_that_moves_is_no_old_one(fixture: Fixture) -> None:
    """A commit that is behind and follows is well."""
    fixture.look_after(4)
    fixture.committed[T0] = 5

    assert fixture.look_after(1) == 0
    assert fixture.look_after(3) == 3


def test_all_committed_has_no_age(fixture: Fixture) -> None:
    """Where no finished record waits, there is nothing to grow old; it begins with the next."""
    fixture.committed[T0] = 8
    fixture.look_after(4)
    assert fixture.look_after(100) == 0

    fixture.partitions[T1].next_commit = 1
    assert fixture.look_after(1) == 0
    assert fixture.look_after(2) == 2


def test_age_between_two_looks_of_an_idle_worker_is_zero(fixture: Fixture) -> None:
    """It does not depend on how often somebody looks."""
    fixture.committed[T0] = 8
    fixture.look_after(4)

    fixture.clock.advance(3)

    assert fixture.commit_age.age_s == 0
