"""Bills: everything that was generated is billed once, whatever becomes of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from streamapp.errors import Failure, GarbledAnswer
from streamapp.llm.attempt import ATTEMPT, Attempt
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.prices import Prices, added_usd
from streamapp.llm.limits.token_estimate import CHARS_PER_TOKEN, question_tokens
from streamapp.llm.provider import Completer
from streamapp.records.response import Usage
from streamapp.records.usage import UsageRecord

#: Longest model and tenant in a usage record, characters.
NAME_LIMIT = 200


@dataclass(slots=True)
class Bill:
    """One attempt that is paid for; nobody changes one that he was given.

    Attributes:
        model: The one that answered, or was asked.
        usage: ``estimated`` where the provider did not say.
        cost_usd: None where the price is unknown, or the usage estimated.
        guess_usd: What an estimated usage would cost, for budgets; None where it is known.
        caller: Name of the HTTP key behind the call; empty without one.
    """

    provider: str
    model: str
    tenant: str
    usage: Usage
    cost_usd: Decimal | None
    guess_usd: Decimal | None = None
    caller: str = ""


class Billed:
    """Puts a price on what ``provider`` generates, and tells ``payers`` of it.

    It sits directly around a provider: an answer that a policy further out refuses, such as one
    that does not fit its schema, was paid for all the same. So was one that is garbled or
    withheld, that broke off, came too late, or that nobody waits for any more: their tokens are
    estimated, unless the provider says how many there were.

    Args:
        provider: One provider.
        name: Its configured name.
        prices: Of what is answered.
        payers: Hear of each bill.
    """

    def __init__(
        self,
        provider: Completer,
        *,
        name: str,
        prices: Prices,
        payers: Sequence[Callable[[Bill], None]] = (),
    ) -> None:
        self._provider = provider
        self._name = name
        self._prices = prices
        self._payers = payers

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``; raises as the provider does."""
        attempt = Attempt()
        token = ATTEMPT.set(attempt)
        is_paid = True  # as long as it was not refused: whoever leaves does not say so
        try:
            completion = await self._provider.complete(call)
            is_paid = False  # billed below
        except Failure as failure:
            is_paid = attempt.is_answered or isinstance(failure, GarbledAnswer)
            raise
        finally:
            ATTEMPT.reset(token)
            if is_paid:
                self._pay(call, self._name, call.model, attempt.usage, chars=attempt.chars)
        output = completion.output if isinstance(completion.output, str) else ""
        bill = self._pay(
            call, completion.provider, completion.model, completion.usage, chars=len(output)
        )
        return completion.but(usage=bill.usage, cost_usd=bill.cost_usd)

    def _pay(
        self, call: Call, provider: str, model: str, usage: Usage | None, *, chars: int
    ) -> Bill:
        """Tell the payers; ``chars`` were written."""
        if usage is None or usage.is_empty:
            usage = Usage(
                input_tokens=round(question_tokens(call)),
                output_tokens=round(chars / CHARS_PER_TOKEN),
                estimated=True,
            )
        cost_usd = self._prices.cost_usd(usage, provider=provider, asked=call.model, answered=model)
        bill = Bill(provider, model, call.tenant, usage, cost_usd, caller=call.caller)
        if usage.estimated:
            bill = Bill(
                provider, model, call.tenant, usage, None, guess_usd=cost_usd, caller=call.caller
            )
        for pay in self._payers:
            pay(bill)
        return bill


@dataclass(slots=True)
class _Sum:
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal | None = Decimal(0)


class UsageMeter:
    """Sums bills by second, provider, model, tenant and kind, until someone takes the sums.

    Args:
        now: Seconds since the epoch.
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._sums: dict[tuple[int, str, str, str, bool, str], _Sum] = {}

    def __call__(self, bill: Bill) -> None:
        """Add a bill."""
        second = int(self._now())
        key = (
            second,
            bill.provider,
            bill.model[:NAME_LIMIT],
            bill.tenant[:NAME_LIMIT],
            bill.usage.estimated,
            bill.caller,
        )
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
                api_key=caller,
                calls=total.calls,
                input_tokens=total.input_tokens,
                output_tokens=total.output_tokens,
                cost_usd=total.cost_usd,
                estimated=estimated,
            )
            for (second, provider, model, tenant, estimated, caller), total in sums.items()
        ]
