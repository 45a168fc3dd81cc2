"""The bodies and statuses of errors over HTTP."""

from streamapp.errors import Kind
from streamapp.web.errors import STATUS


def test_every_kind_has_a_status() -> None:
    """A new kind of failure cannot be forgotten: HTTP would answer 500 for it."""
    assert set(STATUS) == set(Kind)
