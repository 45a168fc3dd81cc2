"""`python -m tests.support.short_poll worker`: streamapp whose client may be idle for 8 s only."""

from typing import Any

from streamapp.cli import main
from streamapp.streaming.app.lifecycle import StreamApp

IDLE_S = 8.0

_init = StreamApp.__init__


def shortened(self: StreamApp, *args: Any, **options: Any) -> None:
    """Take the place of `StreamApp.__init__`."""
    _init(self, *args, **(options | {"broker_max_poll_interval": IDLE_S}))


if __name__ == "__main__":
    StreamApp.__init__ = shortened  # type: ignore[method-assign]
    main()
