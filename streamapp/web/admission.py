"""The admission of HTTP requests: a ready worker, a free slot, and one deadline."""

import asyncio
from collections.abc import AsyncIterator, Callable, Container
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache

from aiohttp import web
from aiokafka.errors import KafkaError

from streamapp.errors import Expired
from streamapp.llm.deadline import CUT_OFF, trouble_so_far
from streamapp.records.request import Request
from streamapp.streaming.app.health import AppHealth
from streamapp.telemetry.subject import REQUEST_ID
from streamapp.web.bodies import BodyReader
from streamapp.web.concurrency_limit import ConcurrencyLimit
from streamapp.web.errors import Refusal
from streamapp.web.headers import request_id

#: Requests that read topics at once: each has a Kafka client of its own.
LOOKS = 4


class Admission:
    """The admission of everything that is answered synchronously.

    Args:
        models: The names of the configured routes.
        deadline_s: Bounds a request from its head to the end of its answer, seconds.
        turned_away: Hears, by code and message, of what ended before there was a record.
        now: Wall clock, aware.
    """

    def __init__(
        self,
        *,
        health: AppHealth,
        gate: ConcurrencyLimit,
        models: Container[str],
        deadline_s: float,
        turned_away: Callable[[str, str], None] = lambda code, message: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._health = health
        self._gate = gate
        self._models = models
        self._deadline_s = deadline_s
        self._turned_away = turned_away
        self._now = now
        self._bodies = BodyReader()
        self._looks = asyncio.Semaphore(LOOKS)

    @asynccontextmanager
    async def admitted(self, request: web.Request) -> AsyncIterator[bytes]:
        """Give the block the request's body and a place of HTTP's own share.

        The body is read first: one that drips in takes no place.

        Raises:
            Refusal: The worker is not ready, or too many wait already.
            Expired: The deadline passed, waiting included.
        """
        REQUEST_ID.set(request_id(request))
        waits_for = "its body"
        try:
            self.check_ready()
            async with _within(self._deadline_s):
                body = await self._bodies.read(request)
                waits_for = "a place among those that are answered here at once"
                if self._gate.is_full:
                    raise _unavailable("too many requests are waiting here", code="busy")
                async with self._gate:
                    waits_for = ""
                    yield body
        except Expired as late:
            if waits_for:
                late.args = (f"{late}; it waited for {waits_for}",)
                self._turned_away(late.kind.value, str(late))
            raise
        except Refusal as refusal:
            if waits_for and refusal.response.status >= 500:  # else the caller is to mend it
                self._turned_away(refusal.code, str(refusal))
            raise

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Run the block that asks the broker, a few at a time.

        Raises:
            Refusal: The broker does not answer.
            Expired: It does not answer in time.
        """
        async with _within(self._deadline_s), self._looks:
            try:
                yield
            except (KafkaError, TimeoutError) as error:
                raise _unavailable("the broker does not answer", code="broker") from error

    async def read(self, request: web.Request) -> bytes:
        """Return the body of a request that needs no place, within the same bounds."""
        return await self._bodies.read(request)

    @property
    def is_stopping(self) -> bool:
        """Whether this worker was asked to stop, and nobody should wait for others here."""
        return self._health.is_stopping

    def check_ready(self) -> None:
        """Raise a ``Refusal`` where this worker cannot answer HTTP."""
        if not self._health.is_ready:
            raise _unavailable("this worker is not ready: see /readyz", code="not_ready")

    def check_settled(self) -> None:
        """Raise a ``Refusal`` where it could not read back what it writes to its tables' topics."""
        self.check_ready()
        if not self._health.is_settled:
            raise _unavailable(
                "the group rebalances, nothing was written: send it again", code="not_ready"
            )

    def check(self, record: Request) -> None:
        """Raise a ``Refusal`` for a record that no worker could answer: no route, or too late."""
        self.check_model(record.model)
        if record.is_expired(self._now()):
            raise Refusal(422, "field 'deadline': it has passed", code="invalid", param="deadline")

    def check_model(self, model: str | None) -> None:
        """Raise a ``Refusal`` where no route has the name; None is the default route."""
        if model is not None and model not in self._models:
            raise Refusal(
                404,
                "no such model is configured: GET /v1/models lists them",
                code="model_not_found",
                param="model",
            )


@asynccontextmanager
async def _within(limit_s: float) -> AsyncIterator[None]:
    """End the block with ``Expired`` after ``limit_s`` seconds; other time-outs pass."""

    @cache  # of several records the first one tells: each has a task of its own, and knows why
    def late() -> str:
        return f"no answer within {limit_s:g} s{trouble_so_far()}"

    try:
        async with asyncio.timeout(limit_s) as timeout:
            CUT_OFF.set(lambda: Expired(late()) if timeout.expired() else None)
            yield
    except TimeoutError as error:
        if timeout.expired():
            raise Expired(late()) from error
        raise


def _unavailable(message: str, *, code: str) -> Refusal:
    return Refusal(503, message, code=code, headers={"Retry-After": "1"})
