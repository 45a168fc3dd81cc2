"""The concurrency limit of HTTP, so that it cannot starve the stream."""

import asyncio
from types import TracebackType


class ConcurrencyLimit:
    """At most ``running`` inside; up to ``waiting`` more queue, in order of arrival.

    Check ``is_full`` right before entering, without an ``await`` between.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self._slots = asyncio.Semaphore(running)
        self._limit = running + waiting
        self._admitted = 0

    @property
    def is_full(self) -> bool:
        """Whether one more would exceed both bounds."""
        return self._admitted >= self._limit

    async def __aenter__(self) -> None:
        self._admitted += 1
        try:
            await self._slots.acquire()
        except BaseException:
            self._admitted -= 1
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._slots.release()
        self._admitted -= 1
