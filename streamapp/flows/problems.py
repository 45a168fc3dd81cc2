"""The name of a flow in what fails within it, and the name that an unknown one may mean."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from streamapp.errors import Failure


@contextmanager
def named(flow: str) -> Iterator[None]:
    """Put the flow's name before the message of a failure inside."""
    try:
        yield
    except Failure as failure:
        failure.args = (f"[flows.{flow}] {failure}",)
        raise


def near(name: str, known: Iterable[str]) -> str:
    """Return a question for the known name that is like ``name``; empty without one."""
    found = get_close_matches(name, list(known), n=1)
    return f", did you mean '{found[0]}'?" if found else ""
