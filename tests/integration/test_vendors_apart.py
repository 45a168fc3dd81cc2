"""A fake of each vendor, made of its shapes: all of its quirks together, at random."""

import asyncio
import contextlib
import time
from random import Random
from typing import Any

import pytest

from streamapp import errors
from streamapp.errors import Failure
from streamapp.llm.deadline import Deadline
from streamapp.llm.providers.factory import build_provider
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import TakenChunks
from tests.support.quirky_vendor import VENDORS, QuirkyVendor, right_of, shapes_of
from tests.unit.llm.calls import chat

AT_ONCE = 16
#: Breakers and limits wait in a time that runs faster than the machine's.
FASTER = 50


@pytest.mark.parametrize(
    "count",
    [200, pytest.param(2_000, marks=[pytest.mark.chaos, pytest.mark.timeout(300)])],
)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_quirks_of_a_vendor_have_no_wrong_outcome(vendor: str, count: int) -> None:
    """Each record has its own answer or its own refusal; no call is made in vain."""
    shapes = shapes_of(vendor)

    async with QuirkyVendor(shapes) as server:
        wrong = await wrong_outcomes(server, shapes[0].provider, count)

    print(f"{vendor}: {count} records, {server.calls} calls, {server.refusals} refusals")  # noqa: T201
    assert wrong == []
    assert server.wasted == 0
    assert server.calls <= count * 1.1 + server.refusals


async def wrong_outcomes(server: QuirkyVendor, kind: Any, count: int) -> list[Any]:
    """Ask so many records of the vendor; return what came of those that it came out wrong of."""
    provider = ProviderSettings(kind=kind, base_url=server.root_url)
    settings = Settings(
        providers={"p": provider}, models={"default": ModelSettings(targets=["p/m"])}
    )
    built = build_provider("p", provider)
    routes = Routes(
        settings,
        {"p": built},
        rng=Random(0),
        clock=fast,
        sleep=lambda seconds: asyncio.sleep(seconds / FASTER),
    )
    numbers = iter(range(count))
    wrong: list[Any] = []

    async def work() -> None:
        for number in numbers:
            shape = server.shape_of(number)
            chunks = TakenChunks() if shape.stream else None
            ask = dict(shape.ask)
            if "inputs" in ask:
                ask["inputs"] = [f"r-{number}", *ask["inputs"][1:]]
            call = chat(f"r-{number}", chunks=chunks, deadline=Deadline(9e9, fast), **ask)
            try:
                found = (await routes.resolve(None).complete(call)).output
            except Failure as failure:
                found = failure.kind
            if found != right_of(shape, number):
                wrong.append((shape.name, found))
            if chunks is not None and not isinstance(found, errors.Kind):
                written = "".join(chunks.texts)
                if written != found:
                    wrong.append((shape.name, written))

    async with contextlib.aclosing(built):
        await asyncio.gather(*[work() for _ in range(AT_ONCE)])
    return wrong


def fast() -> float:
    return time.monotonic() * FASTER
