"""What makes a route's calls cheap and keeps count of them: sharing, prices, budgets."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from streamapp.llm.caching.cache import Cached, CacheTier
from streamapp.llm.caching.fingerprint import Fingerprints
from streamapp.llm.caching.single_flight import SingleFlight
from streamapp.llm.costs.billing import Bill, Billed
from streamapp.llm.costs.budget import Budgeted, Budgets
from streamapp.llm.costs.prices import Prices
from streamapp.llm.provider import LLMProvider
from streamapp.llm.schemas.schema import Schemas
from streamapp.settings import ModelSettings, ProviderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Economy:
    """The parts that all routes share; whoever made them closes them.

    Attributes:
        prices: Of what is answered.
        payers: Hear of each bill, besides the budgets.
        budgets: None where there are none.
        tiers: Of the cache, nearest first; equal calls in flight are shared without any.
        cache_ttl_s: How long answers are kept, seconds; 0 for not at all.
        on_lookup: Hears each tier that was asked, and whether it knew.
        now: Seconds since the epoch.
    """

    prices: Prices
    payers: Sequence[Callable[[Bill], None]] = ()
    budgets: Budgets | None = None
    tiers: Sequence[CacheTier] = ()
    cache_ttl_s: float = 0.0
    on_lookup: Callable[[str, bool], None] = lambda tier, is_hit: None
    now: Callable[[], float] = time.time
    _schemas: Schemas = field(default_factory=Schemas)

    def billed(self, provider: LLMProvider) -> LLMProvider:
        """Return ``provider``, whose answers are billed."""
        payers = (*self.payers, self.budgets.pay) if self.budgets else self.payers
        return Billed(provider, prices=self.prices, payers=payers)

    def shared(
        self,
        answering: LLMProvider,
        *,
        scope: Sequence[str],
        substitute: Callable[[str], LLMProvider],
    ) -> LLMProvider:
        """Return what answers a route's calls within budgets, and each of them once.

        Args:
            answering: The route, down to its providers.
            scope: See `scope_of`.
            substitute: Returns what answers for a spent budget, by the name of a route.
        """
        if self.budgets:
            answering = Budgeted(answering, budgets=self.budgets, substitute=substitute)
        if self.tiers and self.cache_ttl_s > 0:
            answering = Cached(
                answering,
                tiers=self.tiers,
                ttl_s=self.cache_ttl_s,
                schemas=self._schemas,
                now=self.now,
                on_lookup=self.on_lookup,
            )
        return SingleFlight(answering, fingerprints=Fingerprints(scope))


def scope_of(
    name: str, route: ModelSettings, providers: Mapping[str, ProviderSettings]
) -> Sequence[str]:
    """Return what the answers of a route depend on: its targets, and where their providers are."""
    used = {target.partition("/")[0] for target in route.targets}
    places = [
        f"{provider} {settings.kind} {settings.base_url}"
        for provider, settings in sorted(providers.items())
        if provider in used
    ]
    return [name, route.model_dump_json(), *places]
