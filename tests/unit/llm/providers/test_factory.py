"""Providers by their configured kind."""

import asyncio
import contextlib

import pytest

from streamapp.errors import ConfigurationError, ProviderTimeout
from streamapp.llm.providers.factory import build_provider
from streamapp.settings import ProviderSettings
from tests.support.fakellm import FakeLLM
from tests.unit.llm.calls import chat


async def test_offline_answers_by_its_configured_name() -> None:
    """The kind `offline` needs nothing and answers by the provider's name."""
    provider = build_provider("mine", ProviderSettings(kind="offline"))

    assert (await provider.complete(chat())).provider == "mine"


async def test_openai_takes_its_settings(server: FakeLLM) -> None:
    """The kind `openai` calls its base URL, within its timeout."""
    server.script({}, {"hang": "headers"})
    settings = ProviderSettings(kind="openai", base_url=server.base_url, timeout_s=0.2)

    async with (
        contextlib.aclosing(build_provider("mine", settings)) as provider,
        asyncio.timeout(5),
    ):
        assert (await provider.complete(chat())).provider == "mine"
        with pytest.raises(ProviderTimeout):
            await provider.complete(chat())


def test_kind_not_built_yet_names_the_available_ones() -> None:
    """A kind that is not available is a configuration error that lists those that are."""
    with pytest.raises(ConfigurationError, match=r"providers\.mine\.kind.*offline, openai"):
        build_provider("mine", ProviderSettings(kind="anthropic"))
