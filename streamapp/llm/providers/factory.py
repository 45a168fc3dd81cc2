"""Providers by their configured kind: one line for each."""

from collections.abc import Callable

from streamapp.errors import ConfigurationError
from streamapp.llm.provider import LLMProvider
from streamapp.llm.providers.offline import OfflineProvider
from streamapp.llm.providers.openai import OpenAIProvider
from streamapp.llm.timeout import TimeLimited
from streamapp.settings import ProviderSettings


def build_provider(name: str, settings: ProviderSettings) -> LLMProvider:
    """Return the provider ``name`` of the settings, each attempt limited in time.

    Raises:
        ConfigurationError: Its kind is not available, or one of its settings is wrong.
    """
    builder = _BUILDERS.get(settings.kind)
    if builder is None:
        available = ", ".join(sorted(_BUILDERS))
        raise ConfigurationError(
            f"providers.{name}.kind: {settings.kind!r} is not available; use one of: {available}"
        )
    return TimeLimited(builder(name, settings), name=name, timeout_s=settings.timeout_s)


def _openai(name: str, settings: ProviderSettings) -> LLMProvider:
    key = settings.api_key.get_secret_value() if settings.api_key else None
    return OpenAIProvider(name, base_url=settings.base_url, api_key=key)


_BUILDERS: dict[str, Callable[[str, ProviderSettings], LLMProvider]] = {
    "openai": _openai,
    "offline": lambda name, _: OfflineProvider(name),
}
