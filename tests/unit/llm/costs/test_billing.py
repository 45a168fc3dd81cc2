"""Each answered attempt is billed once."""

import asyncio
from decimal import Decimal

import pytest

from streamapp.errors import (
    ContentFiltered,
    Failure,
    OutputInvalid,
    ProviderTimeout,
    ProviderUnavailable,
    TooLarge,
)
from streamapp.llm.attempt import counted, heard
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.billing import Bill, Billed, UsageMeter
from streamapp.llm.costs.prices import Price, Prices
from streamapp.llm.provider import Completer
from streamapp.llm.routing.retry import Retrying
from streamapp.llm.schemas.schema import Schemas
from streamapp.llm.schemas.structured import Structured
from streamapp.records.response import Usage
from streamapp.settings import ProviderSettings
from tests.fakes import FakeClock, FakeProvider
from tests.unit.llm.calls import LABELS, chat, garbled, unavailable

PRICES = Prices(
    {"fake": ProviderSettings(kind="openai", base_url="http://127.0.0.1/v1")},
    {"fake/m": Price(input=Decimal(1), output=Decimal(10))},
)
#: Of the fake provider's default answer: 3 tokens in, 2 out.
EACH_USD = Decimal("0.000023")


@pytest.fixture
def bills() -> list[Bill]:
    """What was billed."""
    return []


@pytest.fixture
def billed(llm: FakeProvider, bills: list[Bill]) -> Billed:
    """The fake provider, at a price."""
    return Billed(llm, name="fake", prices=PRICES, payers=(bills.append,))


async def test_answer_has_its_cost(billed: Billed, llm: FakeProvider, bills: list[Bill]) -> None:
    """An answer says what it cost, and so does its bill."""
    llm.enqueue("text")

    completion = await billed.complete(chat(tenant="a"))

    assert completion.cost_usd == EACH_USD
    assert bills == [Bill("fake", "m", "a", Usage(input_tokens=3, output_tokens=2), EACH_USD)]


async def test_failed_attempt_is_not_billed(
    billed: Billed, llm: FakeProvider, bills: list[Bill]
) -> None:
    """An attempt without an answer has no tokens to bill."""
    llm.enqueue(unavailable())

    with pytest.raises(ProviderUnavailable):
        await billed.complete(chat())

    assert bills == []


async def test_all_asks_count(
    billed: Billed, llm: FakeProvider, clock: FakeClock, bills: list[Bill]
) -> None:
    """A structured answer costs what all its asks cost, retries between them included."""
    llm.enqueue("wrong", unavailable(), "wrong", '{"label": "good"}')
    structured = Structured(Retrying(billed, sleep=clock.sleep), schemas=Schemas())

    completion = await structured.complete(chat(output_schema=LABELS))

    assert completion.cost_usd == 3 * EACH_USD
    assert completion.usage == Usage(input_tokens=9, output_tokens=6)
    assert completion.attempts == 4
    assert len(bills) == 3


async def test_asks_of_a_failed_answer_count(
    billed: Billed, llm: FakeProvider, bills: list[Bill]
) -> None:
    """What never fitted its schema was paid for all the same."""
    llm.enqueue(*["wrong"] * 3)

    with pytest.raises(OutputInvalid):
        await Structured(billed, schemas=Schemas()).complete(chat(output_schema=LABELS))

    assert sum(bill.cost_usd or 0 for bill in bills) == 3 * EACH_USD


async def test_one_unknown_price_makes_the_sum_unknown(billed: Billed, llm: FakeProvider) -> None:
    """An answer whose asks were not all priced has no cost."""
    unpriced = Completion(
        output="wrong", model="new", provider="other", usage=Usage(input_tokens=1)
    )
    llm.enqueue(unpriced, '{"label": "good"}')

    completion = await Structured(billed, schemas=Schemas()).complete(chat(output_schema=LABELS))

    assert completion.cost_usd is None


def test_usage_is_summed_by_second_model_and_tenant(clock: FakeClock) -> None:
    """Bills of one second, provider, model and tenant are one record; then it starts anew."""
    meter = UsageMeter(now=clock)
    usage = Usage(input_tokens=3, output_tokens=2)
    for tenant, model in (("a", "m"), ("a", "m"), ("b", "m"), ("a", "n")):
        meter(Bill("p", model, tenant, usage, Decimal("0.00000015")))
    clock.advance(1)
    meter(Bill("p", "m", "a", usage, None))
    meter(Bill("p", "m", "a", usage, Decimal(1)))

    records = meter.take()

    assert [(r.at.timestamp(), r.model, r.tenant, r.calls) for r in records] == [
        (1000, "m", "a", 2),
        (1000, "m", "b", 1),
        (1000, "n", "a", 1),
        (1001, "m", "a", 2),
    ]
    assert [r.cost_usd for r in records[::3]] == [Decimal("0.0000003"), None]
    assert (records[0].input_tokens, records[0].output_tokens) == (6, 4)
    assert records[0].key() == b"m"
    assert b'"cost_usd":"0.00000030"' in records[0].encode()
    assert meter.take() == []


def test_long_names_are_cut(clock: FakeClock) -> None:
    """A usage record stays small, whatever the tenants are called."""
    meter = UsageMeter(now=clock)
    meter(Bill("p", "m", "x" * 10_000, Usage(), Decimal(0)))

    assert len(meter.take()[0].tenant) == 200


#: Of `chat()`: five characters.
ASKED = 1


class Ending:
    """Is answered, writes something, and ends as it is told."""

    def __init__(
        self, end: Exception | None, *, text: str = "", usage: Usage | None = None
    ) -> None:
        self._end = end
        self._text = text
        self._usage = usage
        self.has_begun = asyncio.Event()

    async def complete(self, call: Call) -> Completion:
        heard(self._text)
        if self._usage:
            counted(self._usage)
        self.has_begun.set()
        if self._end is None:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")
        raise self._end


def at_a_price(provider: Completer, bills: list[Bill]) -> Billed:
    return Billed(provider, name="fake", prices=PRICES, payers=(bills.append,))


@pytest.mark.parametrize(
    "error",
    [
        ContentFiltered("fake: withheld", provider="fake", status=200),
        garbled(),
        ProviderTimeout("fake: late", provider="fake"),
        TooLarge("fake: too long an answer"),
        unavailable(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_was_generated_in_vain_is_billed(error: Failure, bills: list[Bill]) -> None:
    """An attempt that fails after it was answered is billed by estimate, at no known cost."""
    with pytest.raises(type(error)):
        await at_a_price(Ending(error, text="x" * 40), bills).complete(chat(tenant="a"))

    usage = Usage(input_tokens=ASKED, output_tokens=10, estimated=True)
    guess_usd = Decimal(ASKED + 10 * 10) / 1_000_000
    assert bills == [Bill("fake", "m", "a", usage, None, guess_usd=guess_usd)]


async def test_counted_tokens_are_believed(bills: list[Bill]) -> None:
    """Where a refused answer says what it cost, that is billed, as exactly as any."""
    usage = Usage(input_tokens=3, output_tokens=2)
    refused = ContentFiltered("fake: withheld", provider="fake", status=200)

    with pytest.raises(ContentFiltered):
        await at_a_price(Ending(refused, usage=usage), bills).complete(chat(tenant="a"))

    assert bills == [Bill("fake", "m", "a", usage, EACH_USD)]


async def test_call_that_nobody_waits_for_is_billed(bills: list[Bill]) -> None:
    """A client that leaves while its answer is written pays for what there was."""
    leaving = Ending(None, text="x" * 400)
    task = asyncio.create_task(at_a_price(leaving, bills).complete(chat()))
    await leaving.has_begun.wait()

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [bill.usage for bill in bills] == [
        Usage(input_tokens=ASKED, output_tokens=100, estimated=True)
    ]


async def test_answer_without_usage_has_no_cost(
    billed: Billed, llm: FakeProvider, bills: list[Bill]
) -> None:
    """Tokens that the provider does not count are estimated; the cost stays unknown."""
    llm.enqueue(Completion(output="x" * 40, model="m", provider="fake"))

    completion = await billed.complete(chat())

    assert completion.cost_usd is None
    assert completion.usage == Usage(input_tokens=ASKED, output_tokens=10, estimated=True)
    assert bills[0].guess_usd == Decimal(ASKED + 10 * 10) / 1_000_000


def test_estimates_are_summed_apart() -> None:
    """An estimate does not make the cost of a second's exact answers unknown."""
    meter = UsageMeter(now=lambda: 5.0)
    exact, guess = Usage(input_tokens=3), Usage(input_tokens=7, estimated=True)
    meter(Bill("fake", "m", "", exact, Decimal(1)))
    meter(Bill("fake", "m", "", guess, None))

    records = {record.estimated: record for record in meter.take()}

    assert (records[False].input_tokens, records[False].cost_usd) == (3, Decimal(1))
    assert (records[True].input_tokens, records[True].cost_usd) == (7, None)
