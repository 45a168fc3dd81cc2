"""Budgets: limits of spending per day or month, and the sums they look at.

Budgets of one period and one ``per`` look at the same sums, whatever their names: a budget that
is renamed, or put beside another one, counts what was counted before.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256

import structlog

from streamapp.llm.costs.billing import NAME_LIMIT, Bill
from streamapp.llm.costs.place import Place
from streamapp.llm.costs.spend import Account, Amounts, Spend
from streamapp.settings import BudgetSettings

log = structlog.get_logger(__name__)

#: What the scope of a tenant begins with.
TENANT = "tenant/"
#: Lines in the log of one budget in one window: whoever writes records names the tenants.
LINES = 1_000

_DAY_S = 86_400
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

    def counts(self, account: Account, windows: Mapping[str, str]) -> bool:
        """Whether the calls counted there are this budget's."""
        window, scope = account
        is_of_tenant = scope.startswith(TENANT)
        return window == windows[self.settings.period] and is_of_tenant == (
            self.settings.per == "tenant"
        )

    def is_spent(self, amounts: Amounts) -> bool:
        """Whether one of its limits is reached."""
        return self.is_out_of_records(amounts) or self.is_out_of_money(amounts)

    def acts_on(self, place: Place, amounts: Amounts) -> bool:
        """Whether it is spent for a record; no limit of records is for one that has begun."""
        if place.beyond is None:
            return self.is_spent(amounts)
        # It stays with the model that it began with, past midnight too.
        is_downgraded = self.settings.action == "downgrade" and self.name in place.beyond
        return is_downgraded or self.is_out_of_money(amounts)

    def is_out_of_records(self, amounts: Amounts) -> bool:
        """Whether so many records are counted as may be."""
        limit = self.settings.limit_records
        return limit is not None and amounts.records >= limit

    def is_out_of_money(self, amounts: Amounts) -> bool:
        """Whether a limit of tokens or dollars is reached."""
        limits = self.settings
        return (limits.limit_tokens is not None and amounts.tokens >= limits.limit_tokens) or (
            limits.limit_usd is not None and amounts.usd >= limits.limit_usd
        )

    def told(self, amounts: Amounts) -> str:
        """Return what is spent of each limit, such as ``60 of 20 records``."""
        limits = self.settings
        pairs = (
            (amounts.records, limits.limit_records, "records"),
            (amounts.tokens, limits.limit_tokens, "tokens"),
            (amounts.usd, limits.limit_usd, "US dollars"),
        )
        return ", ".join(
            f"{Decimal(used):,f} of {Decimal(limit):,f} {unit}"
            for used, limit, unit in pairs
            if limit is not None
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

    def strictest_spent(self, tenant: str, place: Place) -> Budget | None:
        """Return the strictest budget with nothing left for a record of ``tenant``, or None."""
        windows = self._current()
        strictest = None
        for budget in self._budgets:
            account = budget.account(tenant, windows)
            amounts = self._spend.total(account)
            if budget.acts_on(place, amounts):
                if budget.is_spent(amounts):  # else it was when the record began, before midnight
                    self._find(budget, account, amounts)
                strictest = strictest or budget
        return strictest

    def refuses(self, tenant: str, place: Place) -> bool:
        """Whether a call of a record of ``tenant`` would be refused now."""
        spent = self.strictest_spent(tenant, place)
        return spent is not None and spent.settings.action == "dead_letter"

    def all_spent(self) -> Iterator[tuple[Budget, Account, Amounts]]:
        """Yield each budget with nothing left, for whom, and what was spent there."""
        windows = self._current()
        for account in self._spend.accounts():
            amounts = self._spend.total(account)
            for budget in self._budgets:
                if budget.counts(account, windows) and budget.is_spent(amounts):
                    yield budget, account, amounts

    def look(self) -> None:
        """Log which budgets are spent already, before the first call meets them."""
        for found in self.all_spent():
            self._find(*found)

    def _find(self, budget: Budget, account: Account, amounts: Amounts) -> None:
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
                spent=budget.told(amounts),
                **whose,
            )

    def count_record(self, tenant: str, place: Place) -> None:
        """Count a record that begins, unless it is counted, and give it its place."""
        if not place.is_counted:
            windows = self._current()
            place.beyond = frozenset(
                budget.name
                for budget in self._budgets
                if budget.is_out_of_records(self._spend.total(budget.account(tenant, windows)))
            )
            self._add(tenant, Amounts(records=1))

    def pay(self, bill: Bill) -> None:
        """Count what an attempt cost, or is guessed to; an unknown price counts no money."""
        tokens = bill.usage.input_tokens + bill.usage.output_tokens
        self._add(
            bill.tenant, Amounts(tokens=tokens, usd=bill.cost_usd or bill.guess_usd or Decimal(0))
        )

    def _add(self, tenant: str, amounts: Amounts) -> None:
        """Count what is spent, and tell of each budget that has nothing left after it."""
        windows = self._current()
        accounts = [(budget, budget.account(tenant, windows)) for budget in self._budgets]
        for account in {account for _, account in accounts}:
            self._spend.add(account, amounts)
        for budget, account in accounts:
            total = self._spend.total(account)
            if budget.is_spent(total):
                self._find(budget, account, total)

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


def _bounded(tenant: str) -> str:
    """Return what stands for ``tenant`` in a key: whoever writes records names it."""
    if len(tenant) <= NAME_LIMIT:
        return tenant
    return sha256(tenant.encode()).hexdigest()
