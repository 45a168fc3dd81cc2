"""The outcomes that the dashboard shows, each with the place and trace of its record."""

from contextvars import copy_context
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP
from structlog.testing import capture_logs

from streamapp.errors import InternalError, InvalidRecord
from streamapp.processors.router import Answer
from streamapp.streaming.delivery.outcomes import OutcomeRecorder, RecordingRouter
from streamapp.telemetry.metrics import Metrics
from streamapp.telemetry.subject import SUBJECT, TRACE_ID, Subject

PARENT = f"00-{'a' * 32}-{'b' * 16}-01".encode()


@pytest.fixture
def outcomes() -> OutcomeRecorder:
    """A recorder at one time."""
    return OutcomeRecorder(Metrics(), now=lambda: 5.0)


def noted(outcomes: OutcomeRecorder, message: Any, trace: str = "") -> dict[str, Any]:
    """Return what is kept of a failure in the task of a record."""

    def fail() -> None:
        SUBJECT.set(Subject("r", message))
        TRACE_ID.set(trace)
        outcomes.failed(InvalidRecord("no"), id="r", type="chat")

    copy_context().run(fail)
    return outcomes.tail[-1].fields


def test_place_and_trace_of_the_record_are_kept(outcomes: OutcomeRecorder) -> None:
    """The trace is that of the worker's own span, else that of the record's headers."""
    message = SimpleNamespace(tp=TP("t", 3), offset=17, headers=[("traceparent", PARENT)])

    own, foreign = noted(outcomes, message, "c" * 32), noted(outcomes, message)

    assert (own["partition"], own["offset"], own["trace_id"]) == (3, 17, "c" * 32)
    assert foreign["trace_id"] == "a" * 32


def test_what_came_over_http_has_no_place(outcomes: OutcomeRecorder) -> None:
    """Nothing is shown that is not known."""
    assert noted(outcomes, None).keys() & {"partition", "offset", "trace_id"} == set()


async def test_place_of_a_bug_over_http_is_in_the_log(outcomes: OutcomeRecorder) -> None:
    """As that of a dead letter: its caller is told that there is one, and no more."""

    async def fail(*_: Any, **__: Any) -> Answer:
        try:
            raise ValueError("secret")
        except ValueError as error:
            raise InternalError("mine raised ValueError") from error

    counted = RecordingRouter(cast(Any, SimpleNamespace(answer=fail)), outcomes)

    with capture_logs() as lines, pytest.raises(InternalError):
        await counted.answer(cast(Any, SimpleNamespace(type="mine")), id="r")

    [line] = lines
    assert "test_outcomes.py" in line["origin"]
    assert "secret" not in line["origin"]
