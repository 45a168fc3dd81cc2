"""The bound of what one rendering may cost: it runs on the event loop, where all records wait."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from jinja2 import nodes

from streamapp.errors import PromptError

#: Longest rendering, seconds of CPU: a long record in an honest prompt takes milliseconds.
CPU_LIMIT_S = 0.5

#: When the rendering of this task has used up its CPU, by the thread's clock.
_ENDS_AT: ContextVar[float | None] = ContextVar("rendering_ends_at", default=None)
COUNTED = "counted"


@contextmanager
def cpu_limit() -> Iterator[None]:
    """Bound what is rendered inside the block."""
    token = _ENDS_AT.set(time.thread_time() + CPU_LIMIT_S)
    try:
        yield
    finally:
        _ENDS_AT.reset(token)


def check_cpu() -> None:
    """Look at the clock.

    Raises:
        PromptError: The time is used up.
    """
    ends_at = _ENDS_AT.get()
    if ends_at is not None and time.thread_time() > ends_at:
        raise PromptError(
            f"it takes more than {CPU_LIMIT_S} s to render: use fewer filters on long texts,"
            " or shorter lists"
        )


def checked(filter: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that looks at the clock first."""

    @wraps(filter)
    def looks_first(*args: Any, **keywords: Any) -> Any:
        check_cpu()
        return filter(*args, **keywords)

    return looks_first


class Counted(Sequence[Any]):
    """A list over which a loop looks at the clock in each round."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        """Return an item."""
        return self._items[index]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        """Go over the items."""
        for item in self._items:
            check_cpu()
            yield item


def count_loops(tree: nodes.Template) -> None:
    """Have each loop of a parsed template look at the clock; the filter is `COUNTED`."""
    for loop in tree.find_all(nodes.For):
        counted = nodes.Filter(loop.iter, COUNTED, [], [], None, None)
        loop.iter = counted.set_lineno(loop.iter.lineno)
