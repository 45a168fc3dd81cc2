"""The calls of a target behind its breaker."""

from streamapp.errors import BudgetExceeded, Failure, TargetBusy, TargetOpen
from streamapp.llm.completion import Call, Completion
from streamapp.llm.provider import Completer
from streamapp.llm.routing.breaker import Breaker


class Guarded:
    """Calls ``provider`` as far as the breaker of its target lets it."""

    def __init__(self, provider: Completer, *, breaker: Breaker) -> None:
        self._provider = provider
        self._breaker = breaker

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``.

        Raises:
            TargetOpen: The breaker is open; no attempt was made.
            Failure: As of the provider.
        """
        breaker = self._breaker
        if breaker.is_open:
            return await self._probe(call)
        has_time = call.remaining_s() > 0
        try:
            completion = await self._provider.complete(call)
        except (BudgetExceeded, TargetBusy, TargetOpen):
            raise
        except Failure as failure:
            if has_time:
                breaker.failed(failure, of=call.deadline)
            raise
        breaker.answers += 1
        # An answer from before it opened says nothing about now.
        if breaker.is_shaken and not breaker.is_open:
            breaker.succeeded()
        return completion

    async def _probe(self, call: Call) -> Completion:
        breaker = self._breaker
        # One without time would be no attempt, and tell nothing of the target.
        probe = breaker.begin_probe() if call.remaining_s() > 0 else None
        if probe is None:
            provider, _, _ = breaker.name.partition("/")
            raise TargetOpen(f"{breaker.name}: taken for down", provider=provider)
        try:
            completion = await self._provider.complete(call.but(is_probe=True))
        except (BudgetExceeded, TargetBusy, TargetOpen):
            raise
        except Failure as failure:
            breaker.failed(failure, is_probe=True)
            raise
        finally:
            breaker.end_probe(probe)
        breaker.answers += 1
        breaker.succeeded()
        return completion
