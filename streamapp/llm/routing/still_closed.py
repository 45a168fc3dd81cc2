"""The second look at a breaker, by a call that has waited for its limit."""

from streamapp.errors import TargetOpen
from streamapp.llm.completion import Call, Completion
from streamapp.llm.provider import Completer
from streamapp.llm.routing.breaker import Breaker


class StillClosed:
    """Stops calls whose breaker has opened while they waited for a limit.

    Where another target is left, one failure meanwhile is enough: what waited once does not wait
    for a timeout as well.
    """

    def __init__(self, provider: Completer, *, breaker: Breaker) -> None:
        self._provider = provider
        self._breaker = breaker

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``.

        Raises:
            TargetOpen: The breaker is open or about to, and this is no probe; no attempt was made.
            Failure: As of the provider.
        """
        is_doubtful = call.has_waited and call.moves_on and self._breaker.is_failing
        if (self._breaker.is_open or is_doubtful) and not call.is_probe:
            provider, _, _ = self._breaker.name.partition("/")
            raise TargetOpen(f"{self._breaker.name}: taken for down", provider=provider)
        return await self._provider.complete(call)
