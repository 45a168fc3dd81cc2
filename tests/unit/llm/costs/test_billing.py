"""Each answered attempt is billed once."""

from decimal import Decimal

import pytest

from streamapp.errors import OutputInvalid, ProviderUnavailable
from streamapp.llm.completion import Completion
from streamapp.llm.costs.billing import Bill, Billed, UsageMeter
from streamapp.llm.costs.prices import Price, Prices
from streamapp.llm.routing.retry import Retrying
from streamapp.llm.schemas.schema import Schemas
from streamapp.llm.schemas.structured import Structured
from streamapp.records.response import Usage
from streamapp.settings import ProviderSettings
from tests.fakes import FakeClock, FakeProvider
from tests.unit.llm.calls import LABELS, chat, unavailable

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
    return Billed(llm, prices=PRICES, payers=(bills.append,))


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
