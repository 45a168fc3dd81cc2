"""The check of budgets: which are spent already, perhaps by another budget's calls."""

import time
from collections.abc import Callable
from itertools import groupby

from streamapp.cli.finding import Finding
from streamapp.cli.kafka import answered
from streamapp.cli.terminal import counted
from streamapp.errors import StreamappError
from streamapp.llm.costs.budget import Budgets
from streamapp.llm.costs.spend import Spend
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import partition_counts
from streamapp.streaming.tables.spend import SpendTopic


async def spent_budgets(settings: Settings) -> list[Finding]:
    """Read what all workers have spent, and note each budget that has nothing left."""
    topic, spend = settings.topic("spend"), Spend("")
    if not settings.budgets:
        return []
    try:
        if not await answered(settings, partition_counts(settings, [topic])):
            return []  # a worker creates it at its start
        await answered(settings, SpendTopic(settings).read(0, spend.merge))
    except StreamappError:
        return []  # said of the topics
    return spent_notes(settings, spend)


def spent_notes(
    settings: Settings, spend: Spend, *, now: Callable[[], float] = time.time
) -> list[Finding]:
    """Return a note for each budget with nothing left; no tenant is named."""
    found = Budgets(settings.budgets, spend, now=now).all_spent()
    notes = []
    by_name = sorted(found, key=lambda one: one[0].name)
    for budget, ones in groupby(by_name, key=lambda one: one[0]):
        accounts = list(ones)
        _, (window, _), amounts = accounts[0]
        period, per = budget.settings.period, budget.settings.per
        spent = f"{budget.told(amounts)} are spent"
        if per == "tenant":
            spent = f"nothing is left for {counted(len(accounts), 'tenant')}"
        notes.append(
            Finding(
                "budgets",
                True,
                f"budgets.{budget.name}: in {window} {spent} already. All calls of workers that"
                f' had a budget with period "{period}" and per "{per}" count, whatever its name',
                is_note=True,
            )
        )
    return notes
