"""The settings that would do nothing where they stand; a start with one is refused."""

from collections.abc import Iterator, Mapping

from streamapp.settings import Settings
from streamapp.settings.embed_route import embed_route
from streamapp.settings.tables import PREFIX, ModelSettings, ProviderKind, ProviderSettings

#: What a kind of provider has no use for; of one that is not here, nothing is known.
_IDLE: Mapping[ProviderKind, tuple[str, ...]] = {
    "openai": ("api_version",),
    "azure-openai": (),
    "anthropic": ("pass_through",),
    "litellm": ("api_version",),
    "offline": (
        "base_url",
        "api_key_env",
        "api_version",
        "structured",
        "extra_body",
        "extra_headers",
        "headers_env",
        "pass_through",
        "show_errors",
    ),
}
_USES = dict(
    (
        ("api_version", "the address of Azure and the header of Anthropic hold it"),
        ("pass_through", "what Anthropic's API takes is fixed"),
    )
)
#: Settings, each with the one without which it does nothing.
_NEEDS = (
    ("cache_url", "cache_ttl_s"),
    ("cache_max_mb", "cache_ttl_s"),
    ("schema_registry_user", "schema_registry_url"),
    ("schema_registry_password", "schema_registry_user"),
    ("schema_registry_ca_file", "schema_registry_url"),
)


def unused(
    settings: Settings,
    providers: Mapping[str, ProviderSettings],
    models: Mapping[str, ModelSettings],
) -> list[str]:
    """Return a line for each setting that was made and would do nothing.

    Args:
        settings: As the operator made them.
        providers: Those that there are.
        models: Their routes.
    """
    return [
        *_without_need(settings),
        *_in_providers(settings),
        *_of_models(settings, providers, models),
        *_in_routes(settings.models),
    ]


def _without_need(settings: Settings) -> Iterator[str]:
    made = settings.model_fields_set
    for name, need in _NEEDS:
        if name in made and _is_set(settings, name) and not _is_set(settings, need):
            yield f"{_named(name)} does nothing without {_named(need)}: set that, or remove it"
    limits = settings.global_requests_per_minute, settings.global_tokens_per_minute
    if "global_burst_s" in made and limits == (None, None):
        yield (
            f"{_named('global_burst_s')} does nothing without a limit: set"
            f" {_named('global_requests_per_minute')} or {_named('global_tokens_per_minute')}"
        )


def _in_providers(settings: Settings) -> Iterator[str]:
    for name, provider in settings.providers.items():
        for field in _IDLE.get(provider.kind, ()):
            if field in provider.model_fields_set and getattr(provider, field):
                reason = "" if provider.kind == "offline" else _USES.get(field, "")
                yield (
                    f"providers.{name}.{field} does nothing for kind = {provider.kind!r}"
                    f"{reason and f' ({reason})'}: remove it"
                )


def _of_models(
    settings: Settings,
    providers: Mapping[str, ProviderSettings],
    models: Mapping[str, ModelSettings],
) -> Iterator[str]:
    targets = {target for route in models.values() for target in route.all_targets}
    if embed := embed_route(settings.embed_model, providers=providers, models=models):
        targets |= {*embed.all_targets}
    for name, provider in settings.providers.items():
        for model, own in provider.models.items():
            # A price may also be of what an answer calls its model.
            if f"{name}/{model}" not in targets and own.model_fields_set - {"price"}:
                yield (
                    f"providers.{name}.models.{model} does nothing: no route has the target"
                    f" '{name}/{model}'; name one of {sorted(_of(name, targets))}, or remove it"
                )


def _in_routes(models: Mapping[str, ModelSettings]) -> Iterator[str]:
    for name, route in models.items():
        if "on_timeout" in route.model_fields_set and len(route.targets) == 1:
            yield (
                f"models.{name}.on_timeout does nothing with one target: add another, or remove it"
            )


def _of(provider: str, targets: set[str]) -> Iterator[str]:
    for target in targets:
        name, _, model = target.partition("/")
        if name == provider:
            yield model


def _is_set(settings: Settings, name: str) -> bool:
    value = getattr(settings, name)
    return bool(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


def _named(field: str) -> str:
    return f"{PREFIX}{field.upper()}"
