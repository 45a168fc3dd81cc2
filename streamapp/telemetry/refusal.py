"""The line of a worker that refuses its configuration, in the format of its log."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Literal, NoReturn

from streamapp.errors import ConfigurationError

EXIT_CONFIGURATION = 2

_PREFIX = "streamapp: "


def refuse(
    error: ConfigurationError, stream: IO[str], *, log_format: Literal["console", "json"]
) -> NoReturn:
    """End the process with exit code 2, and say why; people are told in a line for each problem."""
    line = f"{_PREFIX}{error}"
    if log_format == "json":
        fields = {"event": "worker.refused", "reason": str(error), "level": "critical"}
        line = json.dumps({**fields, "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"})
    stream.write(f"{line}\n")
    raise SystemExit(EXIT_CONFIGURATION) from None


def reason_in(line: str) -> str:
    """Return the reason in such a line, whatever its format."""
    try:
        return str(json.loads(line)["reason"])
    except (ValueError, LookupError, TypeError):
        return line.removeprefix(_PREFIX)


@contextmanager
def refused_at_start() -> Iterator[None]:
    """Refuse a configuration that is found wrong inside, on stderr."""
    try:
        yield
    except ConfigurationError as error:
        from streamapp.settings.loading import known_log_format

        refuse(error, sys.stderr, log_format=known_log_format())
