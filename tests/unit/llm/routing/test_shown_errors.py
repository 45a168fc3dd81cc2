"""Whether, and how, the words of a provider's error stand in ours."""

from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from streamapp.errors import ProviderError
from streamapp.llm.providers.refusals.reading import error_for
from streamapp.llm.routing.routes import Routes
from streamapp.llm.routing.shown_errors import TOLD_CHARS
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeProvider
from tests.unit.llm.calls import chat, embeddings
from tests.unit.llm.routing.test_batches import Vectors, of

KEY = "abcd-efgh-ijkl"


async def message(told: str, **fields: Any) -> str:
    """Return the message of the error that a provider's words come to."""
    body = orjson.dumps({"error": {"message": told, "code": "odd"}})
    provider = FakeProvider("p")
    provider.enqueue(error_for(400, {}, body, provider="p", now=0.0))
    settings = Settings(
        _env_file=None,
        providers={"p": ProviderSettings(kind="openai", api_key=SecretStr(KEY), **fields)},
        models={"default": ModelSettings(targets=["p/m"])},
    )
    with pytest.raises(ProviderError) as caught:
        await Routes(settings, {"p": provider}).resolve(None).complete(chat())
    return str(caught.value)


async def test_words_of_the_provider_are_left_out_by_default() -> None:
    """They may quote the request; the setting that shows them is named instead."""
    setting = "show_errors = true in [providers.p] shows what it says"

    assert await message("'Jane Doe' is no user") == f"p: HTTP 400 odd; {setting}"
    assert await message("") == "p: HTTP 400 odd"


@pytest.mark.parametrize("is_wanted", [True, False], ids=["shown", "not shown"])
async def test_number_of_inputs_is_learned_from_words_that_are_shown(is_wanted: bool) -> None:
    """What is put into a message is still there for who splits embeddings by it."""
    settings = Settings(
        _env_file=None,
        providers={"p": ProviderSettings(kind="openai", show_errors=is_wanted)},
        models={"default": ModelSettings(targets=["p/m"])},
    )
    server: Any = Vectors(most=32, words="batch size 64 > maximum allowed batch size 32")

    completion = await Routes(settings, {"p": server}).resolve(None).complete(embeddings(*of(64)))

    assert len(completion.output) == server.paid == 64


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("top_k must be 1,\n not 0", "top_k must be 1, not 0"),
        (f"Incorrect key: {KEY} of header-secret", "Incorrect key: *** of ***"),
        ("Authorization: Bearer other-1234", "Authorization: Bearer ***"),
        ("red \x1b[31m", "red ?[31m"),
        ("x" * 999, "x" * (TOLD_CHARS - 1) + "…"),
    ],
    ids=["lines", "secrets", "other-key", "control", "long"],
)
async def test_words_of_the_provider_are_shown_where_that_is_wanted(told: str, shown: str) -> None:
    """In one line, cut, and without what the operator keeps secret."""
    fields = {"show_errors": True, "extra_headers": {"x-team": "header-secret"}}

    assert await message(told, **fields) == f"p: HTTP 400 odd; the provider says: {shown}"
