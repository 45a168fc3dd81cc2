"""The name of a flow in what fails within it."""

from collections.abc import Iterator
from contextlib import contextmanager

from streamapp.errors import Failure


@contextmanager
def named(flow: str) -> Iterator[None]:
    """Put the flow's name before the message of a failure inside."""
    try:
        yield
    except Failure as failure:
        failure.args = (f"[flows.{flow}] {failure}",)
        raise
