"""Budgets: limits of spending per day or month, and the action beyond them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256

import structlog

from streamapp.errors import BudgetExceeded
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.billing import NAME_LIMIT, Bill
from streamapp.llm.costs.spend import Account, Amounts, Spend
from streamapp.llm.provider import Completer
from streamapp.settings import BudgetSettings

log = structlog.get_logger(__name__)

#: What the scope of a tenant begins with.
TENANT = "tenant/"
#: How often a held call looks again, seconds.
POLL_S = 1.0

#: Lines in the log of one budget in one window: whoever writes records names the tenants.
LINES = 1_000

_DAY_S = 86_400
_ONE_RECORD = Amounts(records=1)
#: Of several spent budgets the strictest one acts.
_STRICTNESS = {"warn": 0, "downgrade": 1, "hold": 2, "dead_letter": 3}


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget by its name."""

    name: str
    settings: BudgetSettings

    def account(self, tenant: str, windows: Mapping[str, str]) -> Account:
        """Return where the calls of ``tenant`` are counted."""
        scope = "all" if self.settings.per == "all" else f"{TENANT}{_bounded(tenant)}"
        return windows[self.settings.period], scope

    def is_spent(self, amounts: Amounts) -> bool:
        """Whether one of its limits is reached."""
        limits = self.settings
        return (
            (limits.limit_records is not None and amounts.records >= limits.limit_records)
            or (limits.limit_tokens is not None and amounts.tokens >= limits.limit_tokens)
            or (limits.limit_usd is not None and amounts.usd >= limits.limit_usd)
        )


class Budgets:
    """All budgets of an app, and the sums they look at.

    Args:
        settings: By name.
        spend: What was spent; this object is the only one that adds to it.
        now: Seconds since the epoch. Days and months are those of UTC.
    """

    def __init__(
        self, settings: Mapping[str, BudgetSettings], spend: Spend, *, now: Callable[[], float]
    ) -> None:
        budgets = [Budget(name, limits) for name, limits in settings.items()]
        self._budgets = sorted(
            budgets, key=lambda budget: _STRICTNESS[budget.settings.action], reverse=True
        )
        self._spend = spend
        self._now = now
        self._day = -1
        self._windows: dict[str, str] = {}
        self._found: dict[str, set[Account]] = {budget.name: set() for budget in budgets}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._budgets)

    @property
    def spent(self) -> tuple[str, ...]:
        """The budgets that were found spent in their current windows, for whomever."""
        return tuple(sorted(name for name, count in self.spent_counts().items() if count))

    @property
    def holding(self) -> tuple[str, ...]:
        """Those of the spent budgets that keep calls waiting."""
        spent = self.spent
        return tuple(
            budget.name
            for budget in self._budgets
            if budget.settings.action == "hold" and budget.name in spent
        )

    def spent_counts(self) -> Mapping[str, int]:
        """Return for how many each budget was found spent in its current window, by its name."""
        self._current()
        return {name: len(accounts) for name, accounts in self._found.items()}

    def strictest_spent(self, tenant: str, *, is_counted: bool = False) -> Budget | None:
        """Return the strictest budget with nothing left for ``tenant``, or None.

        Args:
            tenant: Whose call it is.
            is_counted: Whether the call is in the sums as a record.
        """
        windows = self._current()
        strictest = None
        for budget in self._budgets:
            account = budget.account(tenant, windows)
            amounts = self._spend.total(account)
            if budget.is_spent(amounts - _ONE_RECORD if is_counted else amounts):
                self._find(budget, account)
                strictest = strictest or budget
        return strictest

    def refuses(self, tenant: str) -> bool:
        """Whether a call of ``tenant`` would be refused now."""
        spent = self.strictest_spent(tenant)
        return spent is not None and spent.settings.action == "dead_letter"

    def _find(self, budget: Budget, account: Account) -> None:
        """Log that a budget is spent, once in its window for whom it is."""
        found = self._found[budget.name]
        if account in found:
            return
        found.add(account)
        if len(found) <= LINES:
            whose = {}
            if budget.settings.per == "tenant":
                whose["tenant"] = account[1].removeprefix(TENANT)
            log.warning(
                "budget.spent",
                budget=budget.name,
                action=budget.settings.action,
                window=account[0],
                **whose,
            )

    def count_record(self, tenant: str) -> None:
        """Count a call that is let through."""
        self._add(tenant, _ONE_RECORD)

    def pay(self, bill: Bill) -> None:
        """Count what an attempt cost, or is guessed to; an unknown price counts no money."""
        tokens = bill.usage.input_tokens + bill.usage.output_tokens
        self._add(
            bill.tenant, Amounts(tokens=tokens, usd=bill.cost_usd or bill.guess_usd or Decimal(0))
        )

    def _add(self, tenant: str, amounts: Amounts) -> None:
        windows = self._current()
        for account in {budget.account(tenant, windows) for budget in self._budgets}:
            self._spend.add(account, amounts)

    def _current(self) -> Mapping[str, str]:
        day = int(self._now() // _DAY_S)
        if day != self._day:
            date = datetime.fromtimestamp(day * _DAY_S, UTC)
            self._day = day
            self._windows = {"day": f"{date:%Y-%m-%d}", "month": f"{date:%Y-%m}"}
            for window in self._windows.values():
                self._spend.turn(window)
            windows = set(self._windows.values())
            for name, accounts in self._found.items():
                self._found[name] = {one for one in accounts if one[0] in windows}
        return self._windows


class CallBudget:
    """The budgets of one call, which can wait for minutes between the door and its turn."""

    def __init__(self, budgets: Budgets, call: Call) -> None:
        self._budgets = budgets
        self._tenant = call.tenant
        self._passed: Budget | None = None
        self._is_counted = self._is_answered = False

    def strictest_spent(self) -> Budget | None:
        """Return the strictest budget with nothing left for others, or None."""
        return self._budgets.strictest_spent(self._tenant, is_counted=self._is_counted)

    def let_in(self, spent: Budget | None) -> None:
        """Note which spent budget lets the call through, perhaps to another model."""
        self._passed = spent

    def hold(self) -> None:
        """Note that it is to be counted anew: the next window is another one."""
        self._is_counted = False

    def begin(self) -> None:
        """Count the call, an attempt of which begins.

        Raises:
            BudgetExceeded: A budget was spent while the call waited, and is to act first.
        """
        spent = None if self._is_answered else self.strictest_spent()
        if spent is not None and spent is not self._passed and spent.settings.action != "warn":
            raise BudgetExceeded(f"the budget '{spent.name}' was spent meanwhile")
        if not self._is_counted:
            self._budgets.count_record(self._tenant)
            self._is_counted = True

    def answered(self) -> None:
        """Let what is asked again pass: an answer that is paid for is not thrown away."""
        self._is_answered = True


class Budgeted:
    """Lets calls through while their budgets last.

    It stands inside the cache: what is cached is free. A call is counted when its turn has come,
    after any wait for a limit, and a budget that was spent meanwhile acts then. Its tokens and
    money are counted when it is answered; so a budget is passed by what providers work on at
    most, and by what other workers have not told yet.

    Args:
        provider: What answers.
        budgets: Shared by all routes.
        substitute: Returns what answers in place of ``provider``, by the name of a route.
        sleep: Waits, seconds.
    """

    def __init__(
        self,
        provider: Completer,
        *,
        budgets: Budgets,
        substitute: Callable[[str], Completer],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._provider = provider
        self._budgets = budgets
        self._substitute = substitute
        self._sleep = sleep

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``, perhaps later or by another model.

        Vectors of another model are no substitute: embeddings are not downgraded.

        Raises:
            BudgetExceeded: A budget with the action ``dead_letter`` is spent.
            Failure: As of the provider.
        """
        own = CallBudget(self._budgets, call)
        call = call.but(budget_check=own)
        attempts = 0
        while True:
            try:
                budget = await self._let_in(call, own)
            except BudgetExceeded as refused:
                refused.attempts = attempts
                raise
            model = budget.settings.model if budget else None
            try:
                if model is None or call.operation == "embeddings":
                    completion = await self._provider.complete(call)
                else:
                    completion = await self._substitute(model).complete(call)
                    completion = replace(completion, is_substitute=True)
            except BudgetExceeded as exceeded:
                attempts += exceeded.attempts
            else:
                if not attempts:
                    return completion
                return completion.but(attempts=completion.attempts + attempts)

    async def _let_in(self, call: Call, own: CallBudget) -> Budget | None:
        """Return a budget that is spent and lets the call through; None where none is spent."""
        budget = own.strictest_spent()
        while budget and budget.settings.action == "hold":
            own.hold()
            with call.deadline.suspended():
                await self._sleep(POLL_S)
            budget = own.strictest_spent()
        if budget and budget.settings.action == "dead_letter":
            period = budget.settings.period
            tenant = "for this tenant" if call.tenant else "for all without a tenant"
            whose = f" {tenant}" if budget.settings.per == "tenant" else ""
            raise BudgetExceeded(
                f"the budget '{budget.name}' is spent{whose}, until the next {period} (UTC) begins"
            )
        own.let_in(budget)
        return budget


def _bounded(tenant: str) -> str:
    """Return what stands for ``tenant`` in a key: whoever writes records names it."""
    if len(tenant) <= NAME_LIMIT:
        return tenant
    return sha256(tenant.encode()).hexdigest()
