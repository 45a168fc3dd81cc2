"""Billing: each answered attempt is billed once, whatever becomes of its answer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.prices import Prices, added_usd
from streamapp.llm.provider import Completer
from streamapp.records.response import Usage
from streamapp.records.usage import UsageRecord

#: Longest model and tenant in a usage record, characters.
NAME_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Bill:
    """One answered attempt.

    Attributes:
        model: The one that answered.
        cost_usd: None where the price is unknown.
    """

    provider: str
    model: str
    tenant: str
    usage: Usage
    cost_usd: Decimal | None


class Billed:
    """Puts a price on what ``provider`` answers, and tells ``payers`` of it.

    It sits directly around a provider: an answer that a policy further out refuses, such as one
    that does not fit its schema, was paid for all the same.
    """

    def __init__(
        self,
        provider: Completer,
        *,
        prices: Prices,
        payers: Sequence[Callable[[Bill], None]] = (),
    ) -> None:
        self._provider = provider
        self._prices = prices
        self._payers = payers

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``; raises as the provider does."""
        completion = await self._provider.complete(call)
        cost_usd = self._prices.cost_usd(
            completion.usage,
            provider=completion.provider,
            asked=call.model,
            answered=completion.model,
        )
        bill = Bill(completion.provider, completion.model, call.tenant, completion.usage, cost_usd)
        for pay in self._payers:
            pay(bill)
        return completion.but(cost_usd=cost_usd)


@dataclass(slots=True)
class _Sum:
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal | None = Decimal(0)


class UsageMeter:
    """Sums bills by second, provider, model and tenant, until someone takes the sums.

    Args:
        now: Seconds since the epoch.
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._sums: dict[tuple[int, str, str, str], _Sum] = {}

    def __call__(self, bill: Bill) -> None:
        """Add a bill."""
        second = int(self._now())
        key = (second, bill.provider, bill.model[:NAME_LIMIT], bill.tenant[:NAME_LIMIT])
        total = self._sums.get(key)
        if total is None:
            total = self._sums[key] = _Sum()
        total.calls += 1
        total.input_tokens += bill.usage.input_tokens
        total.output_tokens += bill.usage.output_tokens
        total.cost_usd = added_usd(total.cost_usd, bill.cost_usd)

    def take(self) -> list[UsageRecord]:
        """Return what was added since the last time, oldest first, and forget it.

        A second that is not over yet comes in two records, whose sums add up.
        """
        sums, self._sums = self._sums, {}
        return [
            UsageRecord(
                at=datetime.fromtimestamp(second, UTC),
                provider=provider,
                model=model,
                tenant=tenant,
                calls=total.calls,
                input_tokens=total.input_tokens,
                output_tokens=total.output_tokens,
                cost_usd=total.cost_usd,
            )
            for (second, provider, model, tenant), total in sums.items()
        ]
