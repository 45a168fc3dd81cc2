"""The router for HTTP, which drains its calls when the worker stops."""

import asyncio
from collections.abc import Callable
from typing import Any

from streamapp.errors import RetriesExhausted
from streamapp.llm.deadline import Deadline
from streamapp.processors.request_handler import RequestHandler
from streamapp.processors.router import Answer
from streamapp.records.request import Request

#: How long a stop lets records wait for a limit, a budget or a provider that is down.
TURN_S = 5.0
_POLL_INTERVAL_S = 0.1


class DrainableRouter:
    """Answers what came over HTTP, and sees it to its end when the worker stops.

    Args:
        router: Answers.
        deadline_s: Longest active time of a record, seconds.
        clock: Monotonic, seconds.
    """

    def __init__(
        self, router: RequestHandler, *, deadline_s: float, clock: Callable[[], float]
    ) -> None:
        self._router = router
        self._deadline_s = deadline_s
        self._clock = clock
        self._inside: dict[asyncio.Timeout, Deadline] = {}

    def decode(self, value: bytes | None) -> Request:
        """Return the request; raises as the router."""
        return self._router.decode(value)

    async def answer(self, request: Request, *, id: str, **kwargs: Any) -> Answer:
        """Return the answer.

        Raises:
            RetriesExhausted: The worker stops.
            Failure: As of the router.
        """
        deadline = Deadline(self._deadline_s, self._clock, is_waited_for=True)
        end = asyncio.timeout(None)
        self._inside[end] = deadline
        try:
            async with end:
                return await self._router.answer(request, id=id, deadline=deadline, **kwargs)
        except TimeoutError:
            if end.expired():
                raise RetriesExhausted("this worker stops: send it again") from None
            raise
        finally:
            del self._inside[end]

    async def drain(self, limit_s: float) -> None:
        """Return when nothing is answered any more.

        Args:
            limit_s: What runs longer is cut off; what only waits is, after a moment.
        """
        clock = asyncio.get_running_loop().time
        limit = clock() + limit_s
        turn_end = clock() + min(TURN_S, limit_s / 2)
        while self._inside:
            now = clock()
            for end, deadline in self._inside.items():
                is_over = now >= limit or (now >= turn_end and deadline.is_only_waiting)
                if is_over and not end.expired():
                    end.reschedule(now)
            await asyncio.sleep(_POLL_INTERVAL_S)
