"""A log handler that never waits for its reader: lines go through a bounded queue to a thread.

Whoever starts a worker may stop to read its stderr: a pipe that is full would then block the
event loop, and the watchdog's own last line with it. Here the thread alone is blocked; lines
past the bound are dropped and counted, and the count is written as soon as somebody reads again.
"""

import logging
import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import IO

#: Lines, and characters of them, that wait for the reader at most.
LINES, CHARACTERS = 10_000, 4_000_000


class LineWriter(logging.Handler):
    """Formats in the caller's thread, which holds the context, and writes in its own.

    Args:
        stream: Where lines go; it may block, or be closed.
        lines: Most lines that wait.
        characters: Most characters that wait.

    Attributes:
        dropped: Lines that were dropped so far.
    """

    def __init__(
        self, stream: IO[str], *, lines: int = LINES, characters: int = CHARACTERS
    ) -> None:
        super().__init__()
        self._stream = stream
        self._lines = lines
        self._characters = characters
        self._queue: deque[str] = deque()
        self._size = 0
        self._is_writing = False
        self._unsaid = 0
        self.dropped = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="streamapp-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line, or drop it where the queue is full."""
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
            return
        with self._changed:
            is_full = len(self._queue) >= self._lines or self._size >= self._characters
            if is_full:
                self.dropped += 1
                self._unsaid += 1
                return
            self._queue.append(line)
            self._size += len(line)
            self._changed.notify_all()

    def flush_within(self, limit_s: float) -> bool:
        """Wait until everything is written, at most ``limit_s``; return whether it is."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._queue and not self._is_writing, timeout=limit_s
            )

    def close(self) -> None:
        """Write what waits, if somebody reads it, and let go."""
        self.flush_within(1.0)
        super().close()

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._queue))
                lines, self._queue = list(self._queue), deque()
                self._size = 0
                unsaid, self._unsaid = self._unsaid, 0
                self._is_writing = True
            if unsaid:
                lines.append(self.format(_dropped(unsaid)))
            # A reader that is gone takes nothing any more; what is said is said to nobody.
            with suppress(OSError, ValueError):
                self._write("".join(f"{line}\n" for line in lines))
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()

    def _write(self, text: str) -> None:
        """Write past the stream's own buffer: whoever holds its lock holds up Python's exit."""
        try:
            descriptor = self._stream.fileno()
        except OSError:  # in memory
            self._stream.write(text)
            return
        data = memoryview(text.encode(errors="backslashreplace"))
        while data:
            data = data[os.write(descriptor, data) :]


def _dropped(lines: int) -> logging.LogRecord:
    """Return what is said of dropped lines, in the format of the others."""
    text = f"log.dropped lines={lines}: nobody read them"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (), None)


def flush_logs(limit_s: float) -> None:
    """Wait until the log is written, at most ``limit_s``: for whoever ends the process."""
    end = time.monotonic() + limit_s
    for handler in logging.root.handlers:
        if isinstance(handler, LineWriter):
            handler.flush_within(max(0.0, end - time.monotonic()))
