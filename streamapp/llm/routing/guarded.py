"""The calls of a target behind its breaker."""

import asyncio
from collections.abc import Awaitable, Callable

from streamapp.errors import (
    BudgetExceeded,
    Failure,
    PartSent,
    ProviderError,
    TargetBusy,
    TargetOpen,
)
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import DEADLINE
from streamapp.llm.provider import Completer
from streamapp.llm.routing.break_offs import BROKEN_OFF, MOMENT_S
from streamapp.llm.routing.breaker import Breaker


class Guarded:
    """Calls ``provider`` as far as the breaker of its target lets it.

    Args:
        provider: One target.
        breaker: Of that target.
        sleep: Waits for seconds, by the breaker's clock.
    """

    def __init__(
        self,
        provider: Completer,
        *,
        breaker: Breaker,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._provider = provider
        self._breaker = breaker
        self._sleep = sleep

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``.

        Raises:
            TargetOpen: The breaker is open; no attempt was made.
            PartSent: It ended after a part of the answer was passed on for good.
            Failure: As of the provider.
        """
        try:
            return await (self._probe(call) if self._breaker.is_open else self._ask(call))
        except ProviderError as error:
            is_broken, record = isinstance(error, BROKEN_OFF), _record_of(call)
            at = self._breaker.broke_off(record) if is_broken else 0.0
            if call.is_sent:
                raise _part_sent(error, self._breaker.name) from error
            if is_broken and error.is_paid:  # the record, or the server under all its calls?
                await self._sleep(MOMENT_S)
                error.shared = int(self._breaker.break_offs.has_others(record, at=at))
            raise

    async def _ask(self, call: Call) -> Completion:
        breaker = self._breaker
        has_time = call.remaining_s() > 0
        try:
            completion = await self._provider.complete(call)
        except (BudgetExceeded, TargetBusy, TargetOpen):
            raise
        except Failure as failure:
            if has_time:
                breaker.failed(failure, of=_record_of(call))
            raise
        breaker.answers += 1
        # An answer from before it opened says nothing about now.
        if not breaker.is_open:
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
            breaker.failed(failure, of=_record_of(call), probe=probe)
            raise
        finally:
            breaker.end_probe(probe)
        breaker.answers += 1
        breaker.succeeded()
        return completion


def require_closed(call: Call, *, breaker: Breaker) -> None:
    """Stop a call whose breaker has opened while it waited.

    Where another target is left, one failure meanwhile is enough: what waited once does not wait
    for a timeout as well.

    Raises:
        TargetOpen: The breaker is open or about to, and the call is no probe.
    """
    is_doubtful = call.has_waited and call.moves_on and breaker.is_failing
    if (breaker.is_open or is_doubtful) and not call.is_probe:
        provider, _, _ = breaker.name.partition("/")
        raise TargetOpen(f"{breaker.name}: taken for down", provider=provider)


def _part_sent(error: ProviderError, target: str) -> PartSent:
    """Return what nobody asks again after: `error` is known to the breaker by now."""
    sent = PartSent(
        f"the answer broke off at {target} after a part of it was sent: {error}",
        provider=error.provider,
        status=error.status,
    )
    sent.kind, sent.is_paid = error.kind, error.is_paid
    return sent


def _record_of(call: Call) -> object:
    """Return what the calls of one record have in common.

    A call that equal ones share has a deadline of its own, and the context of the first of them.
    """
    return DEADLINE.get() or call.deadline
