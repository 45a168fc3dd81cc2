"""Limits of what may be spent, and what happens beyond them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from streamapp.errors import BudgetExceeded, Kind
from streamapp.llm.caching.fingerprint import Fingerprints
from streamapp.llm.caching.single_flight import SingleFlight
from streamapp.llm.client import LLMClient
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.billing import Billed
from streamapp.llm.costs.budget import LINES, Budgets
from streamapp.llm.costs.budgeted import Budgeted
from streamapp.llm.costs.place import Place
from streamapp.llm.costs.prices import Price, Prices
from streamapp.llm.costs.spend import Amounts, Spend
from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.steps import Steps
from streamapp.llm.provider import Completer
from streamapp.llm.schemas.schema import Schemas
from streamapp.llm.schemas.structured import Structured
from streamapp.settings import BudgetSettings, ProviderSettings
from tests.fakes import FakeClock, FakeProvider
from tests.unit.llm.calls import chat, embeddings
from tests.unit.tools.agents import Kept

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC).timestamp()
PRICES = Prices(
    {"fake": ProviderSettings(kind="openai", base_url="http://127.0.0.1/v1")},
    {"fake/m": Price(input=Decimal(100_000), output=Decimal(100_000))},
)
Make = Callable[..., Budgeted]


class InTurn:
    """Begins each call when its turn comes, as `Limited` does.

    Args:
        provider: What answers.
        turns: Waited for before each call; none where None.
    """

    def __init__(self, provider: Completer, turns: "asyncio.Queue[None] | None" = None) -> None:
        self._provider = provider
        self._turns = turns

    async def complete(self, call: Call) -> Completion:
        if self._turns is not None:
            await self._turns.get()
        assert call.budget_check is not None
        call.budget_check.begin()
        completion = await self._provider.complete(call)
        call.budget_check.answered()
        return completion


@pytest.fixture
def clock() -> FakeClock:
    """Noon of the last day of a month, UTC."""
    return FakeClock(NOON)


@pytest.fixture
def cheap() -> FakeProvider:
    """The provider of the route to fall back to."""
    return FakeProvider("cheap")


@pytest.fixture
def make(clock: FakeClock, llm: FakeProvider, cheap: FakeProvider) -> Make:
    """Put budgets around the fake provider, whose default answers cost half a dollar each."""

    def budgeted(*limits: dict[str, Any], spend: Spend | None = None, **one: Any) -> Budgeted:
        settings = {
            f"b{n}": BudgetSettings(**fields) for n, fields in enumerate(limits or ({**one},))
        }
        budgets = Budgets(settings, spend or Spend("w"), now=clock)
        billed = Billed(llm, name="fake", prices=PRICES, payers=(budgets.pay,))
        return Budgeted(
            InTurn(billed),
            budgets=budgets,
            substitute={"small": InTurn(cheap)}.__getitem__,
            paid_attempts=3,
            sleep=clock.sleep,
        )

    return budgeted


async def ask_again(budgeted: Budgeted, record: Call) -> str:
    """Make another call of a record; return who answered."""
    return (await budgeted.complete(record.but(sample=record.sample + 1))).provider


async def answered(budgeted: Budgeted, count: int, **fields: Any) -> int:
    """Make calls one after the other; return how many were let through."""
    through = 0
    for _ in range(count):
        try:
            await budgeted.complete(chat(**fields))
        except BudgetExceeded:
            continue
        through += 1
    return through


@pytest.mark.parametrize(
    ("limit", "through"),
    [
        ({"limit_records": 3}, 3),
        ({"limit_tokens": 15}, 3),
        ({"limit_tokens": 16}, 4),
        ({"limit_usd": Decimal("1.5")}, 3),
        ({"limit_usd": 100, "limit_records": 2}, 2),
        ({"limit_records": 0}, 0),
    ],
    ids=str,
)
async def test_budget_lets_calls_through_up_to_its_limit(
    limit: dict[str, Any], through: int, make: Make, llm: FakeProvider
) -> None:
    """Calls pass until one of the limits is reached; the call that reaches it is whole."""
    llm.enqueue(*["text"] * 9)

    assert await answered(make(action="dead_letter", **limit), 6) == through
    assert len(llm.history) == through


@pytest.mark.parametrize("period", ["day", "month"])
@pytest.mark.parametrize(
    ("per", "tenant", "whose"),
    [
        ("all", "CANARY", ""),
        ("tenant", "CANARY", " for this tenant"),
        ("tenant", "", " for all without a tenant"),
    ],
)
async def test_spent_budget_is_named(
    make: Make, period: str, per: str, tenant: str, whose: str
) -> None:
    """The failure names the budget, whose, when it begins anew, and nothing of the call."""
    end = rf"'b0' is spent{whose}, until the next {period} \(UTC\) begins"
    with pytest.raises(BudgetExceeded, match=end) as caught:
        await make(action="dead_letter", limit_records=0, per=per, period=period).complete(
            chat("CANARY", tenant=tenant)
        )

    assert caught.value.kind is Kind.BUDGET_EXCEEDED
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("period", "seconds", "through"),
    [
        ("day", 12 * 3600 - 1, 0),
        ("day", 12 * 3600, 2),
        ("month", 12 * 3600 - 1, 0),
        ("month", 12 * 3600, 2),
    ],
)
async def test_budget_is_whole_again_in_its_next_window(
    period: str, seconds: float, through: int, make: Make, clock: FakeClock
) -> None:
    """A day and a month begin at midnight UTC."""
    budgeted = make(action="dead_letter", limit_records=2, period=period)
    await answered(budgeted, 3)

    clock.advance(seconds)

    assert await answered(budgeted, 3) == through


async def test_month_outlives_its_days(make: Make, clock: FakeClock) -> None:
    """A month's budget is not whole again the next day."""
    clock.now -= 5 * 86_400
    budgeted = make(action="dead_letter", limit_records=2, period="month")
    await answered(budgeted, 2)
    clock.advance(86_400)

    assert await answered(budgeted, 1) == 0


async def test_tenants_have_budgets_of_their_own(make: Make) -> None:
    """A budget per tenant is spent for one and whole for another."""
    budgeted = make(action="dead_letter", limit_records=2, per="tenant")

    assert await answered(budgeted, 3, tenant="a") == 2
    assert await answered(budgeted, 3, tenant="b") == 2
    assert await answered(budgeted, 3) == 2


async def test_long_names_of_tenants_have_short_keys(make: Make) -> None:
    """A tenant of any length has a budget of its own, and a sum that fits into a record."""
    spend = Spend("w")
    budgeted = make(action="dead_letter", limit_records=2, per="tenant", spend=spend)

    assert await answered(budgeted, 3, tenant="a" * 1_000_000) == 2
    assert await answered(budgeted, 3, tenant="a" * 1_000_001) == 2
    assert [len(key) < 200 for key, _ in spend.take()] == [True, True]


async def test_warning_is_one_line_a_window(make: Make, clock: FakeClock) -> None:
    """The action `warn` logs once and stops nothing."""
    budgeted = make(action="warn", limit_records=1)

    with capture_logs() as logs:
        assert await answered(budgeted, 5) == 5
        clock.advance(86_400)
        assert await answered(budgeted, 5) == 5

    assert [(line["event"], line["budget"]) for line in logs] == [("budget.spent", "b0")] * 2


async def test_warning_names_each_tenant_once_a_window(make: Make, clock: FakeClock) -> None:
    """Of a budget per tenant each one is told, in its month once, not once a day."""
    budgeted = make(action="warn", limit_records=1, per="tenant", period="month")
    clock.now -= 5 * 86_400

    with capture_logs() as logs:
        for tenant in ("a", "b", ""):
            await answered(budgeted, 3, tenant=tenant)
        clock.advance(86_400)
        await answered(budgeted, 3, tenant="a")
        clock.advance(6 * 86_400)
        await answered(budgeted, 3, tenant="a")

    assert [(line["tenant"], line["window"]) for line in logs] == [
        ("a", "2030-01"),
        ("b", "2030-01"),
        ("", "2030-01"),
        ("a", "2030-02"),
    ]


async def test_warning_names_no_more_tenants_than_a_log_bears(make: Make) -> None:
    """Whoever writes records names tenants: their lines are bounded, and so is each."""
    budgeted = make(action="warn", limit_records=0, per="tenant")

    with capture_logs() as logs:
        for n in range(LINES + 5):
            await budgeted.complete(chat(tenant=f"{n}" * 300))

    assert len(logs) == LINES
    assert max(len(line["tenant"]) for line in logs) <= 200


async def test_warning_is_told_beside_a_stricter_budget(make: Make) -> None:
    """A spent budget is told also where another one acts."""
    budgeted = make(
        {"action": "warn", "limit_records": 1}, {"action": "dead_letter", "limit_records": 1}
    )

    with capture_logs() as logs:
        await answered(budgeted, 2)

    assert sorted(line["budget"] for line in logs) == ["b0", "b1"]


@pytest.mark.parametrize(
    "limit", [{"limit_records": 3}, {"limit_tokens": 15}, {"limit_usd": Decimal("1.5")}], ids=str
)
async def test_budget_is_told_by_the_call_that_spends_it(
    limit: dict[str, Any], make: Make, llm: FakeProvider
) -> None:
    """Nobody has to be held before the log names it, and the next call tells nothing more."""
    llm.enqueue(*["text"] * 9)
    budgeted = make(action="dead_letter", **limit)

    with capture_logs() as before:
        await answered(budgeted, 2)
    with capture_logs() as logs:
        await answered(budgeted, 1)
    with capture_logs() as after:
        await answered(budgeted, 1)

    assert [line["event"] for line in logs] == ["budget.spent"]
    assert (before, after) == ([], [])


async def test_spent_budgets_are_counted_by_whom(clock: FakeClock) -> None:
    """A budget's count is that of its tenants, whatever their names."""
    settings = {
        "each": BudgetSettings(limit_records=1, action="warn", per="tenant"),
        "whole": BudgetSettings(limit_records=3, action="warn"),
    }
    budgets = Budgets(settings, Spend("w"), now=clock)

    for tenant in ("a", "b"):
        budgets.count_record(tenant, Place())

    assert budgets.spent_counts() == {"each": 2, "whole": 0}
    budgets.count_record("a", Place())
    assert budgets.spent_counts() == {"each": 2, "whole": 1}
    clock.advance(86_400)
    assert budgets.spent_counts() == {"each": 0, "whole": 0}


async def test_spent_budgets_can_be_told(clock: FakeClock) -> None:
    """The names of spent budgets are known until the next window."""
    settings = {"b": BudgetSettings(limit_records=1, action="warn")}
    budgets = Budgets(settings, Spend("w"), now=clock)
    assert not budgets.spent

    budgets.count_record("", Place())

    assert budgets.spent == ("b",)
    clock.advance(86_400)
    assert not budgets.spent


@pytest.mark.parametrize(("action", "holding"), [("hold", ("b",)), ("dead_letter", ())])
async def test_holding_budgets_can_be_told(
    action: Any, holding: tuple[str, ...], clock: FakeClock
) -> None:
    """A spent budget that keeps calls waiting is told apart from the others."""
    settings = {"b": BudgetSettings(limit_records=1, action=action)}
    budgets = Budgets(settings, Spend("w"), now=clock)
    assert budgets.holding == ()

    budgets.count_record("", Place())

    assert budgets.holding == holding


async def test_downgrade_answers_by_another_route(
    make: Make, llm: FakeProvider, cheap: FakeProvider
) -> None:
    """Beyond the budget another route answers, and says so; its answer is not for keeping."""
    budgeted = make(action="downgrade", limit_records=1, model="small")

    first = await budgeted.complete(chat())
    second = await budgeted.complete(chat())

    assert (first.provider, first.is_substitute) == ("fake", False)
    assert (second.provider, second.is_substitute) == ("cheap", True)


async def test_embeddings_are_not_downgraded(make: Make, cheap: FakeProvider) -> None:
    """Vectors of another model are of no use to anyone."""
    budgeted = make(action="downgrade", limit_records=0, model="small")

    assert (await budgeted.complete(embeddings("a"))).provider == "fake"


async def test_hold_waits_for_the_next_window(make: Make, clock: FakeClock) -> None:
    """A held call waits until its budget is whole again; the wait is not its deadline's time."""
    budgeted = make(action="hold", limit_records=1)
    await budgeted.complete(chat())
    deadline = Deadline(90, clock)
    deadline.start()

    await budgeted.complete(chat(deadline=deadline))

    assert clock.now == NOON + 12 * 3600
    assert deadline.spent_s() == 0
    assert deadline.doing == "it waited for the budget 'b0', which is spent"


@pytest.mark.parametrize(
    ("actions", "outcome"),
    [
        (("warn", "downgrade"), "cheap"),
        (("downgrade", "warn"), "cheap"),
        (("downgrade", "dead_letter"), "dead"),
        (("dead_letter", "hold"), "dead"),
    ],
)
async def test_strictest_budget_acts(actions: tuple[str, ...], outcome: str, make: Make) -> None:
    """Where several budgets are spent, the strictest one decides."""
    limits = [
        {"action": a, "limit_records": 0, **({"model": "small"} if a == "downgrade" else {})}
        for a in actions
    ]

    try:
        seen = (await make(*limits).complete(chat())).provider
    except BudgetExceeded:
        seen = "dead"

    assert seen == outcome


async def test_calls_at_once_do_not_pass_a_limit_of_records(make: Make, llm: FakeProvider) -> None:
    """A call counts when it is let through: those in flight are counted too."""
    budgeted = make(action="dead_letter", limit_records=10)

    done = await asyncio.gather(
        *(budgeted.complete(chat(str(n))) for n in range(100)), return_exceptions=True
    )

    assert sum(not isinstance(one, BudgetExceeded) for one in done) == 10


async def test_record_that_has_begun_finishes_its_calls(make: Make, llm: FakeProvider) -> None:
    """A limit of records counts records: it throws away no call of theirs that is paid."""
    spend = Spend("w")
    budgeted = make(action="dead_letter", limit_records=2, spend=spend)
    records = [chat(str(n)) for n in range(3)]

    firsts = await asyncio.gather(
        *(budgeted.complete(one) for one in records), return_exceptions=True
    )
    for record in records[:2]:
        await ask_again(budgeted, record)

    assert [isinstance(one, BudgetExceeded) for one in firsts] == [False, False, True]
    with pytest.raises(BudgetExceeded):
        await ask_again(budgeted, records[2])
    assert len(llm.history) == 4
    assert spend.total(("2030-01-31", "all")).records == 2


@pytest.mark.parametrize("action", ["dead_letter", "hold"])
async def test_record_that_has_begun_goes_on_in_the_next_window(
    action: str, make: Make, clock: FakeClock
) -> None:
    """Others may have used that up, and it is not counted anew."""
    spend = Spend("w")
    budgeted = make(action=action, limit_records=1, spend=spend)
    record = chat()
    await budgeted.complete(record)
    clock.advance(86_400)
    await budgeted.complete(chat("another"))

    await ask_again(budgeted, record)

    assert clock.now == NOON + 86_400
    assert spend.total(("2030-02-01", "all")).records == 1


async def test_record_stays_with_the_model_it_began_with(make: Make) -> None:
    """Its calls before a downgrade and behind it would be of two models."""
    budgeted = make(action="downgrade", limit_records=1, model="small")
    before, beyond = chat("a"), chat("b")
    await budgeted.complete(before)
    await budgeted.complete(beyond)

    assert await ask_again(budgeted, before) == "fake"
    assert await ask_again(budgeted, beyond) == "cheap"


@pytest.mark.parametrize("limit", [{"limit_usd": 1}, {"limit_tokens": 10}], ids=str)
async def test_money_ends_a_record_between_its_calls(limit: dict[str, int], make: Make) -> None:
    """One record, as an agent's, may make many calls: what bounds money bounds it, too."""
    budgeted = make(action="dead_letter", **limit)
    record = chat()
    await budgeted.complete(record)
    await ask_again(budgeted, record)

    with pytest.raises(BudgetExceeded):
        await ask_again(budgeted, record)


@pytest.mark.parametrize("within", [False, True], ids=["call", "step"])
@pytest.mark.parametrize("cached", [False, True], ids=["paid", "free"])
async def test_redelivered_record_goes_on_where_a_call_was_paid(
    cached: bool, within: bool, make: Make
) -> None:
    """It was counted before; one whose finished call was free begins with its next one."""
    spend = Spend("w")
    spend.add(("2030-01-31", "all"), Amounts(records=1))
    budgeted = make(action="dead_letter", limit_records=1, spend=spend)
    stored = Kept()
    before = FakeProvider("before")
    before.enqueue(Completion(output="a", model="m", provider="fake", cached=cached))

    async def first_call(record: LLMClient) -> None:
        await (record.step("ask", record.chat, []) if within else record.chat([]))

    await first_call(LLMClient(provider=before, call=chat(), steps=Steps(stored)))
    again = LLMClient(provider=budgeted, call=chat(), steps=Steps(stored))
    await first_call(again)
    outcome = await asyncio.gather(again.chat([], sample=1), return_exceptions=True)

    assert isinstance(outcome[0], BudgetExceeded) is cached
    assert spend.total(("2030-01-31", "all")).records == 1


async def test_shared_call_is_made_for_the_record_that_has_begun(make: Make) -> None:
    """And counts the other, which was first in line and pays for it: it goes on."""
    spend = Spend("w")
    budgeted = make(action="dead_letter", limit_records=1, spend=spend)
    begun, other = chat(), chat()
    await budgeted.complete(begun)
    flights = SingleFlight(budgeted, fingerprints=Fingerprints("route"))

    await asyncio.gather(*(flights.complete(one.but(sample=1)) for one in (other, begun)))

    assert spend.total(("2030-01-31", "all")).records == 2
    await ask_again(budgeted, other)
    assert spend.total(("2030-01-31", "all")).records == 2


async def test_shared_call_counts_one_record(make: Make) -> None:
    """What is shared is free for all but one."""
    spend = Spend("w")
    flights = SingleFlight(
        make(action="warn", limit_records=1, spend=spend), fingerprints=Fingerprints("route")
    )
    records = [chat(), chat()]

    await asyncio.gather(*map(flights.complete, records))
    assert spend.total(("2030-01-31", "all")).records == 1
    for record in records:
        await flights.complete(record.but(sample=record.sample + 1))

    assert spend.total(("2030-01-31", "all")).records == 2


class Slow(FakeProvider):
    """Answers a second later by its clock's steps."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[asyncio.Event] = []

    async def complete(self, call: Call) -> Completion:
        event = asyncio.Event()
        self.waiting.append(event)
        await event.wait()
        return await super().complete(replace(call, model="m"))


async def test_workers_pass_a_budget_by_what_is_in_flight_at_most() -> None:
    """Three workers that tell their sums each second stop within flight and two seconds."""
    clock, in_flight, limit = FakeClock(NOON), 5, Decimal(20)
    workers = []
    for name in "abc":
        spend, slow = Spend(name), Slow()
        settings = {"b": BudgetSettings(limit_usd=limit, action="dead_letter")}
        budgets = Budgets(settings, spend, now=clock)
        billed = Billed(slow, name="fake", prices=PRICES, payers=(budgets.pay,))
        budgeted = Budgeted(
            InTurn(billed),
            budgets=budgets,
            substitute=dict[str, Any]().__getitem__,
            paid_attempts=3,
        )
        workers.append((spend, slow, budgeted))
    tasks: set[asyncio.Task[Completion]] = set()

    for _ in range(30):  # seconds
        for _, slow, budgeted in workers:
            for event in slow.waiting:
                event.set()
            slow.waiting.clear()
            tasks |= {
                asyncio.create_task(budgeted.complete(chat("one two three")))
                for _ in range(in_flight)
            }
        clock.advance(1)
        for _ in range(5):
            await asyncio.sleep(0)
        told = [record for spend, _, _ in workers for record in spend.take()]
        for spend, _, _ in workers:
            for key, value in told:
                spend.merge(key, value)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    each = Decimal("0.5")
    spent = each * sum(isinstance(one, Completion) for one in outcomes)
    per_second = 3 * in_flight * each
    assert limit <= spent <= limit + 3 * in_flight * each + 2 * per_second
    assert all(spend.total(("2030-01-31", "all")).usd == spent for spend, _, _ in workers)


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "warn"},
        {"action": "downgrade", "limit_usd": 1},
        {"action": "hold", "limit_usd": 1, "model": "small"},
        {"action": "hold", "limit_usd": -1},
        {"action": "stop", "limit_usd": 1},
        {"action": "hold", "limit_usd": 1, "period": "week"},
    ],
    ids=str,
)
def test_wrong_budget_is_refused(fields: dict[str, Any]) -> None:
    """A budget without a limit, or with a model where none is used, is a mistake."""
    with pytest.raises(ValueError, match="BudgetSettings"):
        BudgetSettings(**fields)


async def test_tokens_that_nobody_counts_are_counted(make: Make, llm: FakeProvider) -> None:
    """A provider that tells no usage does not get around a budget of tokens."""
    budgeted = make(limit_tokens=15, action="dead_letter")
    llm.enqueue(*[Completion(output="x" * 40, model="m", provider="fake")] * 3)

    await budgeted.complete(chat())
    await budgeted.complete(chat())

    with pytest.raises(BudgetExceeded):
        await budgeted.complete(chat())


@pytest.mark.parametrize("action", ["dead_letter", "hold", "downgrade"])
async def test_answer_that_is_asked_again_is_in_progress(
    action: str, clock: FakeClock, llm: FakeProvider
) -> None:
    """A budget that is spent by the first answer throws away neither that nor what it cost."""
    more = {"model": "small"} if action == "downgrade" else {}
    settings = {"b": BudgetSettings.model_validate({"limit_usd": 0.4, "action": action, **more})}
    budgets = Budgets(settings, Spend("w"), now=clock)
    billed = Billed(llm, name="fake", prices=PRICES, payers=(budgets.pay,))
    structured = Structured(InTurn(billed), schemas=Schemas())
    budgeted = Budgeted(
        structured,
        budgets=budgets,
        substitute=dict[str, Any]().__getitem__,
        paid_attempts=3,
        sleep=clock.sleep,
    )
    llm.enqueue("no JSON", "{}")

    completion = await budgeted.complete(chat().but(output_schema={"type": "object"}))

    assert (completion.output, completion.attempts) == ({}, 2)
    assert completion.cost_usd == 1
    assert clock.now == NOON


async def test_new_budget_counts_what_others_of_its_kind_have_counted(
    make: Make, clock: FakeClock
) -> None:
    """Sums are those of a period and a `per`, and have no budget's name."""
    spend = Spend("w")
    await answered(make(action="warn", limit_records=1000, spend=spend), 30)

    assert await answered(make(action="dead_letter", limit_records=20, spend=spend), 5) == 0
    of_others = {"period": "month"}, {"per": "tenant"}
    for other in of_others:
        one = make(action="dead_letter", limit_records=20, spend=spend, **other)
        assert await answered(one, 5) == 5


async def test_budget_that_is_spent_at_the_start_is_told(clock: FakeClock) -> None:
    """Before the first call, with what is spent of it, for whom, and in its window alone."""
    spend = Spend("w")
    spend.add(("2030-01-31", "all"), Amounts(records=60, usd=Decimal("1.5")))
    spend.add(("2030-01-31", "tenant/a"), Amounts(records=3))
    spend.add(("2030-01-31", "tenant/b"), Amounts(records=2))
    settings = {
        "h": BudgetSettings(limit_records=20, limit_usd=Decimal(3), action="hold"),
        "left": BudgetSettings(limit_records=61, action="hold"),
        "month": BudgetSettings(limit_records=20, action="hold", period="month"),
        "each": BudgetSettings(limit_records=3, action="warn", per="tenant"),
    }
    budgets = Budgets(settings, spend, now=clock)

    with capture_logs() as logs:
        budgets.look()
        budgets.look()
        budgets.strictest_spent("a", Place())

    told = {line["budget"]: (line["spent"], line.get("tenant")) for line in logs}
    assert told == {
        "h": ("60 of 20 records, 1.5 of 3 US dollars", None),
        "each": ("3 of 3 records", "a"),
    }
    assert len(logs) == 2
    assert budgets.holding == ("h",)
