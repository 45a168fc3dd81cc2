"""All vendors' quirks together, at random: no wrong outcome, and hardly a call too many."""

import asyncio
from random import Random

import pytest

from streamapp.errors import Failure
from streamapp.llm.providers.factory import build_provider
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import TakenChunks
from tests.support.fakevendor import KINDS, FakeVendor, quirk_of
from tests.unit.llm.calls import chat

RECORDS = 2_000
AT_ONCE = 32


@pytest.mark.timeout(120)
async def test_quirks_together_have_no_wrong_outcome() -> None:
    """Each record has its own answer or its own refusal; calls stay near the records."""
    async with FakeVendor() as vendor:
        provider = ProviderSettings(kind="openai", base_url=vendor.base_url)
        settings = Settings(
            providers={"p": provider}, models={"default": ModelSettings(targets=["p/m"])}
        )
        built = build_provider("p", provider)
        routes = Routes(settings, {"p": built}, rng=Random(0), sleep=lambda _: asyncio.sleep(0))
        numbers = iter(range(RECORDS))
        wrong: list[tuple[str, str]] = []

        async def work() -> None:
            for number in numbers:
                id_, chunks = f"r-{number}", TakenChunks() if number % 2 else None
                call = chat(id_, chunks=chunks, parameters={"max_tokens": 9}, deadline_s=90)
                quirk = quirk_of(id_, streamed=chunks is not None)
                try:
                    completion = await routes.resolve(None).complete(call)
                    found = completion.output
                except Failure as failure:
                    found = failure.kind
                right = KINDS.get(quirk, f"answer to {id_}")
                if found != right or (chunks and "".join(chunks.texts) not in ("", found)):
                    wrong.append((quirk, found))

        await asyncio.gather(*[work() for _ in range(AT_ONCE)])
        await built.aclose()

    assert wrong == []
    assert vendor.calls <= RECORDS * 1.1 + vendor.refusals
    assert vendor.refusals <= RECORDS * 0.1 + 3 * AT_ONCE
