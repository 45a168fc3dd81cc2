"""Calls into the client's thread, each a task of that thread's loop.

The queue of mode makes three tasks for each call, to wait for it and for reasons to give up, which
costs more than most calls do. And two workers run all calls: a seek waited behind a fetch and a
commit that waits for its group.
"""

import asyncio
from collections.abc import Callable
from functools import cached_property
from typing import Any

from mode.threads import QueueServiceThread
from mode.utils.futures import maybe_async, maybe_set_exception, maybe_set_result


class DirectCalls(QueueServiceThread):
    """A thread whose calls begin at once, in their order."""

    abstract = True

    @cached_property
    def _calls(self) -> set[asyncio.Task[None]]:
        """Those under way; Faust's classes before this one hand on no `__post_init__`."""
        return set()

    @cached_property
    def _awaited(self) -> set[asyncio.Future[Any]]:
        """What callers wait for; of the parent's loop."""
        return set()

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run ``fun`` in the thread and return what it returns; a cancelled caller ends nothing.

        Raises:
            BaseException: As of ``fun``; ``CancelledError`` where the thread ends under it.
            RuntimeError: The thread has ended.
        """
        promise = self.parent_loop.create_future()
        self._awaited.add(promise)
        promise.add_done_callback(self._awaited.discard)

        async def call() -> None:
            try:
                result = await maybe_async(fun(*args, **kwargs))
            except BaseException as error:  # the caller's to handle
                self.parent_loop.call_soon_threadsafe(maybe_set_exception, promise, error)
            else:
                self.parent_loop.call_soon_threadsafe(maybe_set_result, promise, result)

        def begin() -> None:
            task = self.thread_loop.create_task(call())
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

        self.thread_loop.call_soon_threadsafe(begin)
        return await promise

    async def on_thread_stop(self) -> None:
        """End the calls that are under way, before the client is closed."""
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await super().on_thread_stop()

    async def stop(self) -> None:
        """Stop the thread, and give up the calls that came too late for its loop."""
        try:
            await super().stop()
        finally:
            await asyncio.sleep(0)  # what its last calls returned is on its way
            for promise in list(self._awaited):
                promise.cancel()
