"""The table of learned limits: global, and its changelog is ``llm.limits`` itself.

What Faust skips around a rebalance is no loss here: the next change tells all of it again.
"""

import faust

from streamapp.llm.limits.learned_limits import LearnedLimits
from streamapp.streaming.tables.shared_table import SharedTable

TABLE_LIMITS = "limits"


class LimitsTable(SharedTable):
    """What was learned of limits, kept in ``learned``.

    Args:
        app: Its workers all hold the whole table.
        topic: One partition, compacted.
        learned: Told to the others, and told of them.
    """

    def __init__(self, app: faust.App, *, topic: str, learned: LearnedLimits) -> None:
        super().__init__(app, name=TABLE_LIMITS, topic=topic, rows=learned)
