"""Providers by their configured kind: one line for each."""

from collections.abc import Callable

from streamapp.llm.provider import LLMProvider
from streamapp.llm.providers.anthropic import AnthropicProvider
from streamapp.llm.providers.azure_openai import AzureOpenAIProvider
from streamapp.llm.providers.litellm import LiteLLMProvider, import_litellm
from streamapp.llm.providers.offline import OfflineProvider
from streamapp.llm.providers.openai import OpenAIProvider
from streamapp.settings import ProviderKind, ProviderSettings


def build_provider(name: str, settings: ProviderSettings) -> LLMProvider:
    """Return the provider ``name`` of the settings.

    Raises:
        ConfigurationError: One of its settings is wrong, or what its kind needs is not installed.
    """
    return _BUILDERS[settings.kind](name, settings)


def _key(settings: ProviderSettings) -> str | None:
    return settings.api_key.get_secret_value() if settings.api_key else None


_BUILDERS: dict[ProviderKind, Callable[[str, ProviderSettings], LLMProvider]] = {
    "anthropic": lambda name, p: AnthropicProvider(
        name, base_url=p.base_url, api_key=_key(p), version=p.api_version
    ),
    "azure-openai": lambda name, p: AzureOpenAIProvider(
        name, base_url=p.base_url, api_key=_key(p), api_version=p.api_version
    ),
    "litellm": lambda name, p: LiteLLMProvider(
        name, litellm=import_litellm(name), base_url=p.base_url, api_key=_key(p)
    ),
    "offline": lambda name, _: OfflineProvider(name),
    "openai": lambda name, p: OpenAIProvider(name, base_url=p.base_url, api_key=_key(p)),
}
