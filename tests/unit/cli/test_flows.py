"""`streamapp flows` for people."""

from typing import Any

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
}


def test_flow_is_shown_whole_within_eighty_columns() -> None:
    """No name is cut, whatever the width: a topic's name is copied into the next command."""
    shown = line(ROW)

    assert shown == (
        "labels  shop.reviews -> shop.reviews.labelled\n"
        "    4 partitions  lag 1,234  2.5/s  1 dead letter  $0.12 in 24 h"
    )


def test_what_is_not_known_is_left_out() -> None:
    """A rate that was not watched, a cost that no worker told, a topic that is not there."""
    shown = line(ROW | {"rate_per_s": None, "cost_usd_day": None, "partitions": 0, "lag": 0})

    assert shown.splitlines()[1] == "    no topic yet  lag 0  1 dead letter"
