"""The order of test files: those that may take long first, so that no process ends long after all.

Needs `--no-loadscope-reorder`: xdist would put the files with the most tests first, which are the
quick ones.
"""

from collections import Counter
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

#: Of a test without a limit of its own, seconds.
DEFAULT_S = 120


class Item(Protocol):
    """What is known of a test before it runs: its file and its markers."""

    @property
    def path(self) -> Path:
        """The test's file."""
        ...

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        """Return the marker of that name."""
        ...


T = TypeVar("T", bound=Item)


def longest_first(items: list[T]) -> None:
    """Sort by file, those with a broker first, by how long their tests may take together.

    That is their limits: how long they take on this machine nobody knows before. Of a file without
    a broker only those limits count that its tests have of their own: they compute for long. Before
    all stand those marked as `long`: one test of many waits, say, has but one limit.
    """
    long: set[Path] = set()
    with_broker: set[Path] = set()
    limits_s: Counter[Path] = Counter()
    for item in items:
        limit = item.get_closest_marker("timeout")
        if item.get_closest_marker("long"):
            long.add(item.path)
        if item.get_closest_marker("kafka") or item.get_closest_marker("embedded"):
            with_broker.add(item.path)
            limits_s[item.path] += limit.args[0] if limit else DEFAULT_S
        elif limit:
            limits_s[item.path] += limit.args[0]
    items.sort(
        key=lambda item: (
            item.path not in long,
            item.path not in with_broker,
            -limits_s[item.path],
        )
    )
