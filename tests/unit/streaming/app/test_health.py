"""What the probes say of a worker, in words."""

from math import inf

import pytest

from streamapp.streaming.app.health import last_heartbeat


@pytest.mark.parametrize(
    ("age_s", "told"),
    [(1.26, "last heartbeat 1.3 s ago"), (inf, "no heartbeat since the join")],
    ids=["some", "none"],
)
def test_heartbeat_is_told_by_its_age(age_s: float, told: str) -> None:
    """A worker that has left, or has just joined, has none, and no infinite age."""
    assert last_heartbeat(age_s) == told
