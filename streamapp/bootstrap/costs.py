"""The costs of an app, put together: cache tiers, prices, usage records and budgets."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from uuid import uuid4

from streamapp.llm.caching.cache import CacheTier
from streamapp.llm.caching.tiers import MemoryTier, RedisTier
from streamapp.llm.costs.billing import Bill, UsageMeter
from streamapp.llm.costs.budget import Budgets
from streamapp.llm.costs.prices import prices_of
from streamapp.llm.costs.spend import Spend
from streamapp.llm.routing.economy import Economy
from streamapp.settings import Settings
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.usage_reports import UsageReports
from streamapp.streaming.tables.cache_tier import TableTier
from streamapp.streaming.tables.spend import SpendTable, SpendTopic
from streamapp.telemetry.metrics import Metrics


class Costs:
    """The economy of an app's routes, and what it writes by itself.

    Attributes:
        economy: For the routes.

    Raises:
        ConfigurationError: The file of prices is wrong.
    """

    def __init__(
        self, app: StreamApp, settings: Settings, *, metrics: Metrics, ledgers: Sequence[Ledger]
    ) -> None:
        meter = UsageMeter()
        self._reports = UsageReports(
            meter,
            app.produce,
            topic=settings.topic("usage"),
            silence_s=lambda: app.watchdog.broker_silence_s,
        )
        self._tiers = _tiers(settings, ledgers)
        self._prices = prices_of(settings)
        # Under a new name with each start, so that its earlier sums are those of another worker.
        spend = Spend(uuid4().hex)
        # Also without budgets: workers of one group must agree on their tables.
        self._spent = SpendTable(
            app, topic=settings.topic("spend"), spend=spend, read=SpendTopic(settings).read
        )
        app.tables.add(self._spent)
        self._budgets = Budgets(settings.budgets, spend, now=time.time)
        self._spent.on_recover(self._look_at_budgets)
        metrics.watch_each(
            "budget_spent",
            "For how many a budget was found spent: tenants, or 1 for all; 0 while it lasts.",
            label="budget",
            read=self._budgets.spent_counts,
        )
        self.economy = Economy(
            prices=self._prices,
            payers=(meter, lambda bill: _spent(metrics, bill)),
            budgets=self._budgets,
            tiers=self._tiers,
            cache_ttl_s=settings.cache_ttl_s,
            on_lookup=lambda tier, hit: metrics.looked_up(tier, hit=hit),
        )
        app.add_future(self._reports.watch())

    def impaired(self) -> Sequence[str]:
        """Return the budgets that keep records waiting, and a cache that takes no command."""
        caches = (tier.refusal for tier in self._tiers if isinstance(tier, RedisTier))
        return [
            *(f"budget {name}" for name in self._budgets.holding),
            *(f"cache: {refusal}" for refusal in caches if refusal),
        ]

    async def look_up(self, targets: Iterable[str]) -> None:
        """Find the prices of all targets, and say which have none, before the first record."""
        await asyncio.to_thread(self._prices.look_up, targets)

    async def _look_at_budgets(self) -> None:
        self._budgets.look()

    async def aclose(self) -> None:
        """Write what is not written yet; the routes are closed."""
        for tier in self._tiers:
            await tier.aclose()
        await self._reports.aclose()
        await self._spent.append_last()


def _tiers(settings: Settings, ledgers: Sequence[Ledger]) -> tuple[CacheTier, ...]:
    """Return where answers are kept, nearest first."""
    memory = MemoryTier(max_bytes=settings.cache_max_mb * 1_000_000)
    table = TableTier(lambda fingerprint: _answer_to(ledgers, fingerprint))
    url = settings.cache_url.get_secret_value()
    return (memory, table, RedisTier(url)) if url else (memory, table)


def _spent(metrics: Metrics, bill: Bill) -> None:
    metrics.spent(
        bill.provider,
        bill.model,
        input_tokens=bill.usage.input_tokens,
        output_tokens=bill.usage.output_tokens,
        usd=None if bill.cost_usd is None else float(bill.cost_usd),
    )
    if bill.caller:
        metrics.spent_by_key(
            bill.caller,
            input_tokens=bill.usage.input_tokens,
            output_tokens=bill.usage.output_tokens,
            usd=float(bill.cost_usd or 0),
        )


def _answer_to(ledgers: Sequence[Ledger], fingerprint: str) -> bytes | None:
    for ledger in ledgers:
        if (answer := ledger.answer_to(fingerprint)) is not None:
            return answer
    return None
