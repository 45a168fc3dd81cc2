"""Vendors behind a proxy, as the environment says."""

import contextlib

import pytest
from aiohttp import encode_basic_auth
from yarl import URL

from streamapp.errors import ConfigurationError, ProviderUnavailable
from streamapp.llm.providers.openai import OpenAIProvider
from streamapp.settings.proxies import Proxies
from tests.support.fakellm import FakeLLM
from tests.support.process import free_port
from tests.unit.llm.calls import chat

VENDOR = URL("https://api.example.com/v1")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


def test_none_is_asked_without_a_proxy(environment: pytest.MonkeyPatch) -> None:
    """Without variables a vendor is reached directly."""
    assert Proxies().of(VENDOR) == {}


def test_proxy_of_the_scheme_is_used(environment: pytest.MonkeyPatch) -> None:
    """`HTTPS_PROXY` holds for HTTPS alone; its password is sent as the proxy's."""
    environment.setenv("HTTPS_PROXY", "http://me:secret@proxy:3128")

    through = Proxies().of(VENDOR)

    assert through == {
        "proxy": URL("http://proxy:3128"),
        "proxy_headers": {"Proxy-Authorization": encode_basic_auth("me", "secret")},
    }
    assert Proxies().of(URL("http://vllm.internal/v1")) == {}


@pytest.mark.parametrize("no_proxy", ["api.example.com", ".example.com", "*"])
def test_named_hosts_are_reached_directly(no_proxy: str, environment: pytest.MonkeyPatch) -> None:
    """`NO_PROXY` names hosts and domains that no proxy stands before."""
    environment.setenv("HTTPS_PROXY", "http://proxy:3128")
    environment.setenv("NO_PROXY", no_proxy)

    assert Proxies().of(VENDOR) == {}


def test_other_proxies_are_refused(environment: pytest.MonkeyPatch) -> None:
    """What is no HTTP proxy is refused by the name of its variable, without its password."""
    environment.setenv("HTTPS_PROXY", "socks5://me:CANARY@proxy:1080")

    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        Proxies().of(VENDOR)

    assert "CANARY" not in str(caught.value)


async def test_proxy_that_does_not_answer_is_told_from_the_provider(
    environment: pytest.MonkeyPatch,
) -> None:
    """Whoever looks at the provider's address finds nothing."""
    environment.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    provider = OpenAIProvider("mine", base_url="http://vendor.invalid/v1")

    async with contextlib.aclosing(provider):
        with pytest.raises(ProviderUnavailable, match="mine: the proxy that the environment names"):
            await provider.complete(chat())


async def test_calls_go_through_the_proxy(server: FakeLLM, environment: pytest.MonkeyPatch) -> None:
    """A provider that cannot be reached directly answers through the proxy."""
    environment.setenv("HTTP_PROXY", server.root_url)
    provider = OpenAIProvider("mine", base_url="http://vendor.invalid/v1")
    async with contextlib.aclosing(provider):
        completion = await provider.complete(chat())

    assert completion.output == "answer to: hello"
