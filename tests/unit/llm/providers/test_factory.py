"""Providers by their configured kind."""

import contextlib
import sys

import pytest

from streamapp.errors import ConfigurationError
from streamapp.llm.providers.factory import build_provider
from streamapp.settings import ProviderSettings
from tests.support.fakellm import FakeLLM
from tests.unit.llm.calls import chat


async def test_offline_answers_by_its_configured_name() -> None:
    """The kind `offline` needs nothing and answers by the provider's name."""
    provider = build_provider("mine", ProviderSettings(kind="offline"))

    assert (await provider.complete(chat())).provider == "mine"


async def test_openai_takes_its_settings(server: FakeLLM) -> None:
    """The kind `openai` calls its base URL."""
    settings = ProviderSettings(kind="openai", base_url=server.base_url)

    async with contextlib.aclosing(build_provider("mine", settings)) as provider:
        assert (await provider.complete(chat())).provider == "mine"


def test_litellm_where_it_is_missing_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind `litellm` without litellm is a configuration error that says what to do."""
    monkeypatch.setitem(sys.modules, "litellm", None)  # Python's way to say: not to be found
    with pytest.raises(ConfigurationError, match=r"providers\.mine\.kind.*environment of its own"):
        build_provider("mine", ProviderSettings(kind="litellm"))


def test_azure_needs_its_resource() -> None:
    """The kind `azure-openai` has no default address."""
    with pytest.raises(ConfigurationError, match=r"providers\.mine\.base_url"):
        build_provider("mine", ProviderSettings(kind="azure-openai"))
