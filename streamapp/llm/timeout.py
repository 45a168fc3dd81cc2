"""The innermost policy: no attempt outlives the provider's timeout or the record's deadline."""

import asyncio

from streamapp.errors import ProviderTimeout
from streamapp.llm.completion import Call, Completion
from streamapp.llm.provider import Completer


class TimeLimited:
    """Cuts an attempt of ``provider`` off, whatever it is doing: connecting, reading, dripping.

    It sits inside every policy that waits, so that only the attempt itself is timed.
    """

    def __init__(self, provider: Completer, *, name: str, timeout_s: float) -> None:
        self._provider = provider
        self._name = name
        self._timeout_s = timeout_s

    async def complete(self, call: Call) -> Completion:
        """Answer ``call`` in time.

        Raises:
            ProviderTimeout: The time is up; at once, without an attempt, where none is left.
        """
        limit_s = min(self._timeout_s, call.deadline.remaining_s())
        try:
            if limit_s <= 0:
                raise TimeoutError
            async with asyncio.timeout(limit_s):
                return await self._provider.complete(call)
        except TimeoutError as error:
            raise ProviderTimeout(
                f"{self._name}: no complete answer within {max(limit_s, 0):.2f} s",
                provider=self._name,
            ) from error
