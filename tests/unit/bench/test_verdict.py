"""The reader of a run's topics and groups."""

from dataclasses import dataclass
from typing import Any

from aiokafka.errors import GroupCoordinatorNotAvailableError

from bench.verdict import Topics


@dataclass
class Described:
    """What a broker says of its groups; each is error, name and state."""

    groups: list[tuple[int, str, str]]


class Admin:
    """A broker that knows of no groups at first."""

    def __init__(self) -> None:
        self.answers: list[Any] = [
            GroupCoordinatorNotAvailableError("no topic for groups yet"),
            [Described([(0, "g", "PreparingRebalance")])],
            [Described([(0, "g", "Stable")])],
        ]

    async def describe_consumer_groups(self, groups: list[str]) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_group_has_members_once_it_is_stable() -> None:
    """A new broker has no coordinator until somebody joins: that is no failure of the run."""
    consumer: Any = None
    admin: Any = Admin()
    topics = Topics(consumer, admin, 8)

    assert [await topics.has_members("g") for _ in range(3)] == [False, False, True]
