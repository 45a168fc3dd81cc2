"""The records whose blocking ended the process, in a file: no restart begins them for ever."""

import json
from pathlib import Path

import structlog
from faust.types import TP

from streamapp.streaming.delivery.ledger_entry import digest
from streamapp.streaming.window.taken_record import Message

log = structlog.get_logger(__name__)

#: Records that are remembered at most, the oldest first out.
MOST = 100


class KeptFences:
    """Counts by record how often it ended a process of this data directory.

    A file that cannot be read or written is as none: the record is begun once more.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._counts: dict[str, int] = {}
        try:
            kept = json.loads(path.read_text())
            self._counts = {str(name): int(count) for name, count in kept.items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, AttributeError, TypeError) as error:
            log.warning("blocking.not_read", error=type(error).__name__)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._counts)

    def count(self, message: Message) -> int:
        """Return how often the record did so; one with other bytes at its place is another."""
        return self._counts.get(_name(message), 0)

    def add(self, message: Message) -> None:
        """Count the record once more, on the disk: the process is about to end."""
        name = _name(message)
        self._counts[name] = self._counts.pop(name, 0) + 1
        while len(self._counts) > MOST:
            del self._counts[next(iter(self._counts))]
        try:
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps(self._counts))
            new.replace(self._path)
        except OSError as error:
            log.warning("blocking.not_kept", error=type(error).__name__)


def _name(message: Message) -> str:
    tp: TP = message.tp
    return f"{tp.topic}-{tp.partition}-{message.offset}-{digest(message.value)}"
