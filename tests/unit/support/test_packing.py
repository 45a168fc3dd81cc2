"""The order of test files."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.packing import longest_first


@dataclass
class Item:
    """A test with its markers."""

    path: Path
    name: str
    marks: list[pytest.MarkDecorator] = field(default_factory=list)

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return next((mark.mark for mark in self.marks if mark.name == name), None)


def test_files_that_may_take_long_come_first_and_stay_together() -> None:
    """First the marked, those of a broker by the sum of their limits, then others with limits."""
    kafka, embedded, limit = pytest.mark.kafka, pytest.mark.embedded, pytest.mark.timeout
    quick, short, long, many = (Path(name) for name in ("quick", "short", "long", "many"))
    tiny, marked = Path("tiny"), Path("marked")
    items = [
        Item(tiny, "t1"),
        Item(quick, "q1", [limit(900)]),
        Item(short, "s1", [kafka]),
        Item(many, "m1", [embedded, limit(100)]),
        Item(long, "l1", [kafka, limit(150)]),
        Item(quick, "q2"),
        Item(marked, "l2", [kafka, pytest.mark.long]),
        Item(many, "m2", [embedded, limit(100)]),
    ]

    longest_first(items)

    assert [item.name for item in items] == ["l2", "m1", "m2", "l1", "s1", "q1", "q2", "t1"]
