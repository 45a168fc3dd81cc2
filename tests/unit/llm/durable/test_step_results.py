"""Results of coroutines as steps: the same at once and on a redelivery."""

import warnings
from datetime import datetime
from typing import Any

import pytest

from streamapp.errors import InternalError
from tests.fakes import FakeProvider
from tests.unit.tools.agents import Kept, agent


async def moment() -> datetime:
    """Return what is no JSON by itself, and has an annotation."""
    return datetime(2030, 1, 2)


async def several() -> Any:
    """Return what JSON has no words for."""
    return datetime(2030, 1, 2), {1: (2, 3)}


@pytest.mark.parametrize("make", [moment, several])
async def test_a_result_is_at_once_what_it_is_later(make: Any) -> None:
    """Whoever goes on with it asks the same when the record comes again."""
    store = Kept()

    first = await agent(FakeProvider(), store=store).step("s", make)
    again = await agent(FakeProvider(), store=store).step("s", make)
    over_http = await agent(FakeProvider()).step("s", make)

    assert first == again == over_http


async def wrong() -> int:
    """Return something else than promised."""
    found: Any = "canary"
    return found


async def no_json() -> Any:
    """Return what cannot be stored."""
    return ["canary", object()]


async def no_number() -> Any:
    """Return what would be stored as null."""
    return {"canary": float("nan")}


@pytest.mark.parametrize("make", [wrong, no_json, no_number])
async def test_a_result_that_cannot_be_read_is_named_and_not_told(make: Any) -> None:
    """The error, its causes and warnings hold the coroutine's name and nothing that it gave."""
    client = agent(FakeProvider(), store=Kept())
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(InternalError) as caught:
            await client.step("s", make)

    assert make.__name__ in str(caught.value)
    assert "canary" not in repr((caught.value, caught.value.__cause__, caught.value.__context__))
    assert not warned
