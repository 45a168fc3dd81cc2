"""`python -m tests.support.talkative worker`: streamapp without the bound on repeated lines.

For tests that have to see every line, however many there are of a kind.
"""

import logging

from streamapp.cli import main
from streamapp.telemetry.repeats import RepeatLimit


def let_pass(self: RepeatLimit, record: logging.LogRecord) -> bool:
    """Take the filter's place."""
    return True


if __name__ == "__main__":
    RepeatLimit.filter = let_pass  # type: ignore[method-assign]
    main()
