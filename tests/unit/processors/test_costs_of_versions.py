"""The tokens and money that records cost count for the versions of their prompts."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest

from streamapp.errors import Failure, OutputInvalid, ProviderRejected
from streamapp.llm.costs.billing import UsageMeter
from streamapp.llm.costs.prices import Price, Prices
from streamapp.llm.routing.economy import Economy
from streamapp.processors.classify import Classify
from streamapp.processors.router import Router
from streamapp.prompts.variants import Variants
from streamapp.settings import ProviderSettings
from tests.fakes import FakeProvider

PROVIDERS = {"fake": ProviderSettings(kind="openai", base_url="http://127.0.0.1/v1")}


def classify(text: str) -> Classify:
    return Classify(type="classify", text=text, labels=["wet", "dry"])


async def failed(router: Router, text: str) -> Failure:
    with pytest.raises(Failure) as caught:
        await router.answer(classify(text), id=text, key=None)
    return caught.value


async def test_records_without_an_answer_cost_their_version_what_was_billed(
    make_router: Callable[..., Router], llm: FakeProvider
) -> None:
    """Tokens and dollars of a version add up to those of the usage, whatever was answered."""
    meter, variants = UsageMeter(), Variants()
    prices = Prices(PROVIDERS, {"fake/m": Price(input=Decimal(1), output=Decimal(10))})
    router = make_router(economy=Economy(prices=prices, payers=(meter,)), variants=variants)
    llm.enqueue(*["no JSON"] * 6)

    failures = await asyncio.gather(failed(router, "fog"), failed(router, "hail"))
    llm.enqueue(ProviderRejected("400", provider="fake", status=400))
    refused = await failed(router, "snow")
    await router.answer(classify("rain"), id="r", key=None)

    assert [type(one) for one in failures] == [OutputInvalid] * 2
    assert isinstance(refused, ProviderRejected)
    billed = meter.take()
    calls = sum(one.calls for one in billed)
    [variant] = variants.of("classify")
    assert (calls, variant.calls, variant.errors) == (7, 4, 3)
    assert variant.input_tokens == sum(one.input_tokens for one in billed) > 0
    assert variant.output_tokens == sum(one.output_tokens for one in billed)
    assert variant.cost_usd == sum(one.cost_usd or 0 for one in billed) > 0
    assert variant.unpriced == 0


async def test_failed_record_of_unknown_price_costs_what_is_not_known(
    make_router: Callable[..., Router], llm: FakeProvider
) -> None:
    """No price is no zero."""
    variants = Variants()
    router = make_router(economy=Economy(prices=Prices(PROVIDERS, {})), variants=variants)
    llm.enqueue(*["no JSON"] * 3)

    await failed(router, "fog")

    [variant] = variants.of("classify")
    assert (variant.unpriced, variant.cost_usd) == (1, Decimal(0))
