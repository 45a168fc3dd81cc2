"""A setting that would do nothing is refused at start, with a line that says what to change."""

from pathlib import Path

import pytest

from streamapp.errors import ConfigurationError
from streamapp.settings.loading import load_settings

ROUTE = '[models.default]\ntargets = ["p/m"]\n'
VARIABLES: dict[str, tuple[dict[str, str], str]] = {
    "a shared cache without a cache": (
        {"STREAMAPP_CACHE_URL": "redis://127.0.0.1:1", "STREAMAPP_CACHE_TTL_S": "0"},
        "STREAMAPP_CACHE_URL does nothing without STREAMAPP_CACHE_TTL_S",
    ),
    "a burst without a limit": (
        {"STREAMAPP_GLOBAL_BURST_S": "1"},
        "STREAMAPP_GLOBAL_BURST_S does nothing without a limit",
    ),
    "a user of no registry": (
        {"STREAMAPP_SCHEMA_REGISTRY_USER": "u"},
        "STREAMAPP_SCHEMA_REGISTRY_USER does nothing without STREAMAPP_SCHEMA_REGISTRY_URL",
    ),
}
FILES: dict[str, tuple[str, str]] = {
    "a version of an API without versions": (
        f'[providers.p]\nkind = "openai"\napi_version = "2024-10-21"\n{ROUTE}',
        "streamapp.toml:3: [providers.p] api_version does nothing for kind = 'openai'",
    ),
    "fields that Anthropic does not take": (
        f'[providers.p]\nkind = "anthropic"\npass_through = ["top_k"]\n{ROUTE}',
        "streamapp.toml:3: [providers.p] pass_through does nothing for kind = 'anthropic'",
    ),
    "an address of nothing": (
        f'[providers.p]\nkind = "offline"\nbase_url = "http://127.0.0.1:1"\n{ROUTE}',
        "streamapp.toml:3: [providers.p] base_url does nothing for kind = 'offline'",
    ),
    "limits of a model that nobody asks": (
        f'[providers.p]\nkind = "openai"\n[providers.p.models.n]\ntimeout_s = 9\n{ROUTE}',
        "streamapp.toml:3: [providers.p.models] n does nothing: no route has the target 'p/n';"
        " name one of ['m']",
    ),
    "another target where there is none": (
        f'[providers.p]\nkind = "openai"\n{ROUTE}on_timeout = "retry"\n',
        "streamapp.toml:5: [models.default] on_timeout does nothing with one target",
    ),
}


def refusal() -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return str(caught.value)


@pytest.mark.parametrize(("variables", "line"), VARIABLES.values(), ids=VARIABLES)
def test_variable_that_does_nothing_is_refused(
    variables: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the variable, and the one that it needs."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert refusal().startswith(line)


@pytest.mark.parametrize(("text", "line"), FILES.values(), ids=FILES)
def test_line_of_the_file_that_does_nothing_is_refused(text: str, line: str) -> None:
    """The line names the place in the file."""
    Path("streamapp.toml").write_text(text)

    assert refusal().startswith(line)


def test_settings_that_do_something_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of models that are asked, prices of what answers call them, an empty variable."""
    Path("streamapp.toml").write_text(
        '[providers.p]\nkind = "azure-openai"\napi_version = "2024-10-21"\n'
        "[providers.p.models.m]\ntimeout_s = 9\n[providers.p.models.e]\nmax_concurrency = 1\n"
        '[providers.p.models."m-2024"]\nprice = { input = 1 }\n'
        '[models.default]\ntargets = ["p/m"]\n'
        '[models.two]\ntargets = ["p/m", "p/n"]\non_timeout = "retry"\n'
    )
    monkeypatch.setenv("STREAMAPP_MODEL", "")
    monkeypatch.setenv("STREAMAPP_EMBED_MODEL", "e")

    assert load_settings().models["two"].on_timeout == "retry"
