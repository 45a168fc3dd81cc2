"""Providers by their configured kind: one line for each."""

from collections.abc import Callable
from typing import Any

from streamapp.llm.provider import LLMProvider
from streamapp.llm.providers.anthropic import AnthropicProvider
from streamapp.llm.providers.azure_openai import AzureOpenAIProvider
from streamapp.llm.providers.endpoint import checked_extras
from streamapp.llm.providers.litellm import LiteLLMProvider, import_litellm
from streamapp.llm.providers.offline import OfflineProvider
from streamapp.llm.providers.openai import OpenAIProvider
from streamapp.settings import ProviderKind, ProviderSettings


def build_provider(name: str, settings: ProviderSettings) -> LLMProvider:
    """Return the provider ``name`` of the settings; policies are composed around it.

    Raises:
        ConfigurationError: One of its settings is wrong, or what its kind needs is not installed.
    """
    body, headers = checked_extras(
        name, kind=settings.kind, body=settings.extra_body, headers=settings.extra_headers
    )
    return _BUILDERS[settings.kind](name, settings, {"extra_body": body, "extra_headers": headers})


def _key(settings: ProviderSettings) -> str | None:
    return settings.api_key.get_secret_value() if settings.api_key else None


_BUILDERS: dict[ProviderKind, Callable[[str, ProviderSettings, dict[str, Any]], LLMProvider]] = {
    "anthropic": lambda name, p, extras: AnthropicProvider(
        name,
        base_url=p.base_url,
        api_key=_key(p),
        version=p.api_version,
        structured=p.structured,
        **extras,
    ),
    "azure-openai": lambda name, p, extras: AzureOpenAIProvider(
        name,
        base_url=p.base_url,
        api_key=_key(p),
        api_version=p.api_version,
        structured=p.structured,
        pass_through=p.pass_through,
        **extras,
    ),
    "litellm": lambda name, p, extras: LiteLLMProvider(
        name,
        litellm=import_litellm(name),
        base_url=p.base_url,
        api_key=_key(p),
        structured=p.structured,
        pass_through=p.pass_through,
        **extras,
    ),
    "offline": lambda name, p, extras: OfflineProvider(name),
    "openai": lambda name, p, extras: OpenAIProvider(
        name,
        base_url=p.base_url,
        api_key=_key(p),
        structured=p.structured,
        pass_through=p.pass_through,
        **extras,
    ),
}
