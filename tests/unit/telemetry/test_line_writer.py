"""A log whose reader has gone: nobody waits for it, and what was dropped is counted."""

import io
import json
import logging
import os
import threading
import time
from collections.abc import Callable

import pytest

from streamapp.telemetry.line_writer import LineWriter


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("test", logging.INFO, __file__, 1, text, (), None)


class Reader(io.StringIO):
    """A stream that blocks until it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = threading.Event()
        self.lines: list[str] = []

    def write(self, text: str) -> int:
        self.reads.wait()
        self.lines += text.splitlines()
        return len(text)


def test_lines_are_written_in_their_order() -> None:
    """A reader gets every line, as it was formatted where it was logged."""
    reader = Reader()
    reader.reads.set()
    writer = LineWriter(reader)

    for number in range(100):
        writer.emit(record(str(number)))

    assert writer.flush_within(5)
    assert reader.lines == [str(number) for number in range(100)]


@pytest.mark.parametrize("bound", [{"lines": 10}, {"characters": 20}], ids=["lines", "characters"])
def test_nobody_waits_for_a_reader_that_is_gone(bound: dict[str, int]) -> None:
    """Past its bound the queue drops lines; what was dropped is said once somebody reads again."""
    reader = Reader()
    writer = LineWriter(reader, **bound)
    begun_at = time.monotonic()

    for number in range(1_000):
        writer.emit(record(f"{number:04d}"))

    assert time.monotonic() - begun_at < 1
    assert not writer.flush_within(0.01)
    assert writer.dropped > 900
    reader.reads.set()
    assert writer.flush_within(5)
    writer.emit(record("back"))
    assert writer.flush_within(5)
    said = [line for line in reader.lines if line.startswith("log.dropped lines=")]
    assert sum(int(line.partition("=")[2].partition(":")[0]) for line in said) == writer.dropped
    assert reader.lines[-1] == "back"


def test_what_was_dropped_is_told_in_the_format_of_the_lines() -> None:
    """Whoever reads JSON reads one object a line."""
    reader = Reader()
    writer = LineWriter(reader, lines=1)
    writer.setFormatter(logging.Formatter('{"event": "%(message)s", "level": "%(levelname)s"}'))

    for number in range(10):
        writer.emit(record(str(number)))
    reader.reads.set()

    assert writer.flush_within(5)
    events = [json.loads(line)["event"] for line in reader.lines]
    said = [event.split("lines=")[1] for event in events if event.startswith("log.dropped ")]
    assert sum(int(number.partition(":")[0]) for number in said) == writer.dropped > 0


@pytest.mark.parametrize("close", [os.close, None], ids=["reader closed", "stream closed"])
def test_closed_stream_is_no_error(close: Callable[[int], None] | None) -> None:
    """A worker outlives the program that read its log."""
    read, write = os.pipe()
    stream = os.fdopen(write, "w")
    writer = LineWriter(stream)
    if close:
        close(read)
    else:
        stream.close()
        os.close(read)

    writer.emit(record("lost"))

    assert writer.flush_within(5)
    assert not writer.dropped
