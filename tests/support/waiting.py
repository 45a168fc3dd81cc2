"""Waiting for a condition instead of sleeping for a time."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

EVERY_S = 0.05


async def until(
    condition: Callable[[], object | Awaitable[object]],
    timeout_s: float,
    *,
    state: Callable[[], object] = lambda: "",
) -> None:
    """Wait until the condition is true.

    Args:
        condition: A function or coroutine function; what it raises ends the wait.
        timeout_s: Longest wait, seconds.
        state: What the error shows when the wait was in vain.

    Raises:
        TimeoutError: The condition did not become true in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                result = condition()
                if inspect.isawaitable(result):
                    result = await result
                if result:
                    return
                await asyncio.sleep(EVERY_S)
    except TimeoutError as error:
        raise TimeoutError(f"not within {timeout_s} s\n{state()}") from error
