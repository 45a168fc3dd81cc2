"""The outcomes of records: counted, and the last ones kept for the dashboard."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import structlog
from pydantic_core import to_json

from streamapp.errors import Failure
from streamapp.llm.deadline import CUT_OFF
from streamapp.processors.request_handler import RequestHandler
from streamapp.processors.router import Answer
from streamapp.records.dead_letter import DeadLetter
from streamapp.records.request import Request
from streamapp.records.response import Response
from streamapp.settings.flows import REQUESTS
from streamapp.streaming.flows.costs import FlowCosts
from streamapp.telemetry.frames import origin_of, without_frames
from streamapp.telemetry.metrics import Metrics
from streamapp.telemetry.subject import REQUEST_ID, SUBJECT, TRACE_ID
from streamapp.telemetry.trace_headers import trace_id

log = structlog.get_logger(__name__)

#: Outcomes kept, and characters of an answer kept with each.
KEPT, PREVIEW = 200, 400


@dataclass(slots=True)
class RecordOutcome:
    """One end of a record, in the order of ``number``; not frozen, which takes thrice as long."""

    number: int
    fields: dict[str, Any] = field(default_factory=dict)


class OutcomeRecorder:
    """Hears of outcomes, for the metrics and for the tail.

    Args:
        now: Wall clock, seconds since the epoch.

    Attributes:
        tail: The last outcomes, oldest first.
        costs: Of each flow.
    """

    def __init__(self, metrics: Metrics, *, now: Callable[[], float] = time.time) -> None:
        self._metrics = metrics
        self._now = now
        self._numbers = count(1)
        self.costs = FlowCosts(now)
        self.tail: deque[RecordOutcome] = deque(maxlen=KEPT)

    def of(self, flow: str) -> "FlowOutcomes":
        """Return what hears of the records of one flow."""
        return FlowOutcomes(self, flow)

    def answered(self, response: Response, *, source: str = "topic", flow: str = REQUESTS) -> None:
        """A response was delivered."""
        usage, cost_usd = response.usage, response.cost_usd
        self._metrics.answered(type=response.type, duration_s=response.duration_s, flow=flow)
        if (cost_usd is None or cost_usd) and source == "topic":
            self.costs.add(flow, cost_usd)
        output = response.output
        text = output if isinstance(output, str) else to_json(output).decode()
        self._keep(
            id=response.id,
            type=response.type,
            status="ok",
            source=source,
            flow=flow,
            provider=response.provider,
            model=response.model,
            prompt=_prompt(response),
            label=response.prompt.label if response.prompt else None,
            cached=response.cached,
            duration_s=response.duration_s,
            tokens=usage.input_tokens + usage.output_tokens,
            cost_usd=None if cost_usd is None else format(cost_usd, "f"),
            text=text[:PREVIEW],
        )

    def skipped(self, *, flow: str) -> None:
        """A flow had nothing to ask for a record."""
        self._metrics.skipped(flow=flow)

    def replayed(self, *, type: str, flow: str = REQUESTS) -> None:
        """A stored outcome was delivered again."""
        self._metrics.replayed(type=type, flow=flow)

    def dead_lettered(
        self, dead_letter: DeadLetter, *, type: str | None, flow: str = REQUESTS
    ) -> None:
        """A dead letter was delivered."""
        self._metrics.dead_lettered(type=type, kind=dead_letter.kind.value, flow=flow)
        self._keep(
            id=dead_letter.request_id,
            type=type,
            status="dead",
            source="topic",
            flow=flow,
            kind=dead_letter.kind.value,
            partition=dead_letter.partition,
            offset=dead_letter.offset,
            text=dead_letter.message[:PREVIEW],
        )

    def failed(self, failure: Failure, *, id: str, type: str) -> None:
        """A record over HTTP ended as an error."""
        origin = origin_of(failure)
        self._failed(id=id, type=type, kind=failure.kind.value, reason=str(failure), **origin)

    def turned_away(self, code: str, message: str) -> None:
        """A request over HTTP ended before it was read as a record."""
        self._failed(id=REQUEST_ID.get(), type=None, kind=code, reason=message)

    def _failed(self, *, id: str, type: str | None, kind: str, reason: str, **origin: str) -> None:
        self._metrics.failed(type=type)
        text = reason[:PREVIEW]
        self._keep(id=id, type=type, status="failed", source="http", kind=kind, text=text)
        request_id = REQUEST_ID.get()
        log.warning("http.failed", id=id, kind=kind, reason=text, request_id=request_id, **origin)

    def _keep(self, **fields: Any) -> None:
        at = round(self._now(), 3)
        self.tail.append(RecordOutcome(next(self._numbers), {"at": at, **_subject(), **fields}))


class FlowOutcomes:
    """Hears of the outcomes of one flow."""

    def __init__(self, recorder: OutcomeRecorder, flow: str) -> None:
        self._recorder = recorder
        self._flow = flow

    def answered(self, response: Response) -> None:
        """A response was delivered."""
        self._recorder.answered(response, flow=self._flow)

    def skipped(self) -> None:
        """The flow had nothing to ask for a record."""
        self._recorder.skipped(flow=self._flow)

    def replayed(self, *, type: str) -> None:
        """A stored outcome was delivered again."""
        self._recorder.replayed(type=type, flow=self._flow)

    def dead_lettered(self, dead_letter: DeadLetter, *, type: str | None) -> None:
        """A dead letter was delivered."""
        self._recorder.dead_lettered(dead_letter, type=type, flow=self._flow)


class RecordingRouter:
    """The router as HTTP uses it: what it answers is counted, too."""

    def __init__(self, router: RequestHandler, outcomes: OutcomeRecorder) -> None:
        self._router = router
        self._outcomes = outcomes

    def decode(self, value: bytes | None) -> Request:
        """Return the request that a body holds; raises as the router."""
        return self._router.decode(value)

    async def answer(self, request: Request, *, id: str, **kwargs: Any) -> Answer:
        """Return the answer; raises as the router."""
        try:
            answer = await self._router.answer(request, id=id, **kwargs)
        except Failure as failure:
            self._outcomes.failed(failure, id=id, type=request.type)
            without_frames(failure)  # its caller tells no more than its text
            raise
        except asyncio.CancelledError:
            if late := CUT_OFF.get()():  # else its caller left
                self._outcomes.failed(late, id=id, type=request.type)
            raise
        self._outcomes.answered(answer.response, source="http")
        return answer


def _prompt(response: Response) -> str | None:
    use = response.prompt
    return f"{use.name}:{use.version}" if use else None


def _subject() -> dict[str, Any]:
    """Return place and trace of the record that the current task works on, as far as known."""
    subject, trace = SUBJECT.get(), TRACE_ID.get()
    message = subject.message if subject else None
    found: dict[str, Any] = {}
    if message:
        found = {"partition": message.tp.partition, "offset": message.offset}
        trace = trace or trace_id(message.headers) or ""
    if trace:
        found["trace_id"] = trace
    return found
