"""Prices, budgets and cache tiers that the calls of all routes share."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamapp.llm.caching.cache import CacheTier
from streamapp.llm.costs.billing import Bill
from streamapp.llm.costs.budget import Budgets
from streamapp.llm.costs.prices import Prices
from streamapp.llm.costs.record_bills import pay


@dataclass(frozen=True, slots=True, kw_only=True)
class Economy:
    """The parts that all routes share; whoever made them closes them.

    Attributes:
        prices: Of what is answered.
        payers: Hear of each bill, besides its record and the budgets.
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

    @property
    def all_payers(self) -> Sequence[Callable[[Bill], None]]:
        """Who hears of each bill: the record that it is for and the budgets, too."""
        return (*self.payers, pay, *((self.budgets.pay,) if self.budgets else ()))
