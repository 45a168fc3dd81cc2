"""What keeps calls cheap and counted, put together: cache tiers, prices, usage records."""

from streamapp.errors import ConfigurationError
from streamapp.llm.billing import Bill, UsageMeter
from streamapp.llm.cost import Prices, load_prices
from streamapp.llm.economy import Economy
from streamapp.llm.tiers import MemoryTier, RedisTier
from streamapp.settings import Settings
from streamapp.streaming.lifecycle import StreamApp
from streamapp.streaming.usage_reports import UsageReports
from streamapp.telemetry.metrics import Metrics


class Costs:
    """The economy of an app's routes, and what it writes by itself.

    Attributes:
        economy: For the routes.

    Raises:
        ConfigurationError: The file of prices is wrong.
    """

    def __init__(self, app: StreamApp, settings: Settings, *, metrics: Metrics) -> None:
        if settings.budgets:
            # Their sums are not shared between workers yet: a limit that does not hold is none.
            raise ConfigurationError("budgets: not available yet; remove [budgets] from the file")
        meter = UsageMeter()
        self._reports = UsageReports(
            meter, lambda *record: app.producer.send(*record), topic=settings.topic("usage")
        )
        self._tiers = _tiers(settings)
        private = load_prices(settings.prices_file) if settings.prices_file else None
        self.economy = Economy(
            prices=Prices(settings.providers, private),
            payers=(meter, lambda bill: _spent(metrics, bill)),
            tiers=self._tiers,
            cache_ttl_s=settings.cache_ttl_s,
            on_lookup=lambda tier, hit: metrics.looked_up(tier, hit=hit),
        )
        app.add_future(self._reports.watch())

    async def aclose(self) -> None:
        """Write what is not written yet; the routes are closed."""
        for tier in self._tiers:
            await tier.aclose()
        await self._reports.report()


def _tiers(settings: Settings) -> tuple[MemoryTier | RedisTier, ...]:
    """Return where answers are kept, nearest first."""
    memory = MemoryTier(max_bytes=settings.cache_max_mb * 1_000_000)
    return (memory, RedisTier(settings.cache_url)) if settings.cache_url else (memory,)


def _spent(metrics: Metrics, bill: Bill) -> None:
    metrics.spent(
        bill.provider,
        bill.model,
        input_tokens=bill.usage.input_tokens,
        output_tokens=bill.usage.output_tokens,
        usd=float(bill.cost_usd or 0),
    )
