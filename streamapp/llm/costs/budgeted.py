"""The policy that lets calls through while their budgets last."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from streamapp.errors import BudgetExceeded
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.budget import Budget, Budgets
from streamapp.llm.provider import Completer
from streamapp.llm.routing.tries import Tries

#: How often a held call looks again, seconds.
POLL_S = 1.0


class CallBudget:
    """The budgets of one call, which can wait for minutes between the door and its turn."""

    def __init__(self, budgets: Budgets, call: Call) -> None:
        self._budgets = budgets
        self._tenant = call.tenant
        self._place = call.place
        self._passed: Budget | None = None
        self._is_answered = False

    def strictest_spent(self) -> Budget | None:
        """Return the strictest budget with nothing left for others, or None."""
        return self._budgets.strictest_spent(self._tenant, self._place)

    def let_in(self, spent: Budget | None) -> None:
        """Note which spent budget lets the call through, perhaps to another model."""
        self._passed = spent

    def begin(self) -> None:
        """Count the call's record, an attempt for which begins.

        Raises:
            BudgetExceeded: A budget was spent while the call waited, and is to act first.
        """
        spent = None if self._is_answered else self.strictest_spent()
        if spent is not None and spent is not self._passed and spent.settings.action != "warn":
            raise BudgetExceeded(f"the budget '{spent.name}' was spent meanwhile")
        self._budgets.count_record(self._tenant, self._place)

    def answered(self) -> None:
        """Let what is asked again pass: an answer that is paid for is not thrown away."""
        self._is_answered = True


class Budgeted:
    """Lets calls through while their budgets last.

    It stands inside the cache: what is cached is free. A record is counted when the turn of its
    first call has come, after any wait for a limit, and a budget that was spent meanwhile acts
    then; no limit of records stops its further calls. Tokens and money are counted when a call is
    answered; so a budget is passed by what providers work on at most, and by what other workers
    have not told yet. What was tried before a budget acts between two attempts is kept, whoever
    answers then.

    Args:
        provider: What answers.
        budgets: Shared by all routes.
        substitute: Returns what answers in place of ``provider``, by the name of a route.
        paid_attempts: How often a call may be paid for in vain at each target, over all waits.
        sleep: Waits, seconds.
    """

    def __init__(
        self,
        provider: Completer,
        *,
        budgets: Budgets,
        substitute: Callable[[str], Completer],
        paid_attempts: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._provider = provider
        self._budgets = budgets
        self._substitute = substitute
        self._paid_attempts = paid_attempts
        self._sleep = sleep

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``, perhaps later or by another model.

        Vectors of another model are no substitute: embeddings are not downgraded.

        Raises:
            BudgetExceeded: A budget with the action ``dead_letter`` is spent.
            Failure: As of the provider.
        """
        own, tries = CallBudget(self._budgets, call), Tries(self._paid_attempts)
        call = call.but(budget_check=own, tries=tries)
        while True:
            try:
                budget = await self._let_in(call, own)
            except BudgetExceeded as refused:
                refused.attempts, refused.paid = tries.attempts, tries.paid
                raise
            model = budget.settings.model if budget else None
            with suppress(BudgetExceeded):  # one was spent meanwhile, and acts now
                if model is None or call.operation == "embeddings":
                    return await self._provider.complete(call)
                completion = await self._substitute(model).complete(call)
                return replace(completion, is_substitute=True)

    async def _let_in(self, call: Call, own: CallBudget) -> Budget | None:
        """Return a budget that is spent and lets the call through; None where none is spent."""
        budget = own.strictest_spent()
        while budget and budget.settings.action == "hold":
            held = f"it waited for the budget '{budget.name}', which is spent"
            with call.deadline.suspended(held):
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
