"""`streamapp flows` for people."""

from typing import Any

import pytest

from streamapp.cli.flows import line

ROW: dict[str, Any] = {
    "name": "labels",
    "input": "shop.reviews",
    "outputs": ["shop.reviews.labelled"],
    "partitions": 4,
    "lag": 1234,
    "rate_per_s": 2.5,
    "dead_letters": 1,
    "cost_usd_day": "0.12",
    "unpriced_day": 0,
    "cost_counted_s": 86_400,
}

NOTHING: dict[str, Any] = {"cost_usd_day": None, "unpriced_day": None, "cost_counted_s": None}


@pytest.mark.parametrize(
    ("costs", "told"),
    [
        (
            {"cost_usd_day": None, "unpriced_day": 1550},
            "cost unknown in 24 h (1,550 answers without a known price)",
        ),
        (
            {"cost_usd_day": "0.12", "unpriced_day": 1},
            "$0.12 in 24 h, and 1 answer without a known price",
        ),
        ({"cost_usd_day": "0", "unpriced_day": 0}, "$0 in 24 h"),
    ],
    ids=["unknown", "some", "nothing"],
)
def test_cost_without_a_known_price_is_not_nothing(costs: dict[str, Any], told: str) -> None:
    """`$0` would say that a model costs nothing whose price nobody has told."""
    assert line(ROW | costs).endswith(f"  {told}")
    assert all(len(shown) <= 80 for shown in line(ROW | costs).splitlines())


def test_flow_is_shown_whole_within_eighty_columns() -> None:
    """No name is cut, whatever the width: a topic's name is copied into the next command."""
    shown = line(ROW)

    assert shown == (
        "labels  shop.reviews -> shop.reviews.labelled\n"
        "    4 partitions  lag 1,234  2.5/s  1 dead letter  $0.12 in 24 h"
    )


def test_what_is_not_known_is_left_out_or_named() -> None:
    """A rate that was not watched, a topic that is not there; a cost that no worker told."""
    shown = line(ROW | NOTHING | {"rate_per_s": None, "partitions": 0, "lag": 0})

    assert shown.splitlines()[1] == "    no topic yet  lag 0  1 dead letter  cost unknown"


@pytest.mark.parametrize(("counted_s", "time"), [(725.5, "12 min"), (7_300.0, "2 h")])
def test_cost_since_a_start_is_not_taken_for_that_of_a_day(counted_s: float, time: str) -> None:
    """Workers count from their start: after a deployment the day is not what was spent."""
    shown = line(ROW | {"cost_usd_day": "0", "cost_counted_s": counted_s})

    assert shown.splitlines()[1:] == [
        "    4 partitions  lag 1,234  2.5/s  1 dead letter",
        f"    $0 in 24 h, as far as counted since a worker's start {time} ago",
    ]
