"""Lines of the log name the record that they are about."""

import asyncio
import io
import json
import logging
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import structlog

from streamapp.telemetry.logging import configure_logging
from streamapp.telemetry.subject import SUBJECT, TRACE_ID, Subject
from tests.support.logs import restored_logging

__all__ = ["restored_logging"]

pytestmark = pytest.mark.usefixtures("restored_logging")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PLACE = {"id": "r-1", "topic": "llm.requests", "partition": 2, "offset": 41}


class Place(NamedTuple):
    topic: str = "llm.requests"
    partition: int = 2


@dataclass
class Message:
    headers: Any = (("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode()),)
    tp: Any = Place()  # noqa: RUF009 - it does not change
    offset: int = 41


async def logged(subject: Subject | None, *, trace_id: str = "", **fields: Any) -> dict[str, Any]:
    """Write a line in a record's task; return its fields."""
    stream = io.StringIO()
    configure_logging("info", "json", stream=stream)

    async def work() -> None:
        SUBJECT.set(subject)
        TRACE_ID.set(trace_id)
        structlog.get_logger("ours").info("happened", **fields)

    await asyncio.create_task(work())
    line: dict[str, Any] = json.loads(stream.getvalue())
    return {name: line[name] for name in line if name not in ("timestamp", "level", "logger")}


async def test_a_line_names_record_place_and_trace() -> None:
    """Whoever has one of them finds the others."""
    line = await logged(Subject("r-1", Message()))

    assert line == {"event": "happened", **PLACE, "trace_id": TRACE}


async def test_a_trace_that_began_here_is_named() -> None:
    """Where traces are on, their own id counts."""
    line = await logged(Subject("r-1", Message(headers=())), trace_id="abc")

    assert line == {"event": "happened", **PLACE, "trace_id": "abc"}


@pytest.mark.parametrize(
    "headers", [None, (), {}, [("traceparent", b"\xff")], [("traceparent", b"x" * 55)]]
)
async def test_a_line_without_a_trace_has_no_field_for_it(headers: Any) -> None:
    """A header that names no trace is none."""
    line = await logged(Subject("r-1", Message(headers=headers)))

    assert line == {"event": "happened", **PLACE}


async def test_a_record_over_http_has_no_place() -> None:
    """Its id is all there is."""
    assert await logged(Subject("r-1")) == {"event": "happened", "id": "r-1"}


async def test_what_a_line_says_itself_counts() -> None:
    """A line about another place is left as it is."""
    line = await logged(Subject("r-1", Message()), topic="llm.prompts")

    assert (line["topic"], line["id"]) == ("llm.prompts", "r-1")


async def test_other_lines_stay_as_they_are() -> None:
    """Nothing of a record sticks to what comes after it."""
    await logged(Subject("r-1", Message()))

    assert await logged(None) == {"event": "happened"}


async def test_lines_of_libraries_are_found_too() -> None:
    """What a library logs while it works on a record has the record's fields."""
    stream = io.StringIO()
    configure_logging("info", "json", stream=stream)

    async def work() -> None:
        SUBJECT.set(Subject("r-1", Message()))
        logging.getLogger("library").warning("slow")

    await asyncio.create_task(work())

    line = json.loads(stream.getvalue())
    assert {name: line[name] for name in PLACE} == PLACE
    assert line["trace_id"] == TRACE
