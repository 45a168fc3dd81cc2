"""The figures that a run takes from the times of its records."""

import pytest

from bench.run import _slowest


@pytest.mark.parametrize(
    ("took_ms", "slowest"),
    [
        ([], []),
        ([5.0], [5]),
        ([float(n) for n in (9, 1, 2, 8, 3, 4, 5, 6, 7, 0, 3)], [9, 8, 4, 6, 7, 3]),
        ([300.0] + [200.4] * 19, [300] + [200] * 9),
    ],
    ids=["none", "one", "eleven", "twenty"],
)
def test_slowest_of_each_tenth_in_the_order_of_writing(
    took_ms: list[float], slowest: list[int]
) -> None:
    """First records that are slow are seen as such, and not only as a high p99."""
    assert _slowest(took_ms) == slowest
