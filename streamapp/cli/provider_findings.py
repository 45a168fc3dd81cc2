"""The findings of `streamapp check` about providers: addresses, keys and models."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Protocol, runtime_checkable

from yarl import URL

from streamapp.cli.finding import Finding
from streamapp.errors import (
    ConfigurationError,
    Failure,
    ModelUnavailable,
    ProviderDenied,
    ProviderError,
    ProviderForbidden,
    RateLimited,
)
from streamapp.llm.completion import Call
from streamapp.llm.deadline import Deadline
from streamapp.llm.provider import LLMProvider
from streamapp.llm.providers.factory import build_provider
from streamapp.llm.providers.litellm import LiteLLMProvider
from streamapp.llm.routing.shown_errors import quotation
from streamapp.settings import ProviderSettings, Settings
from streamapp.settings.embed_route import embed_route
from streamapp.settings.proxies import failure_name
from streamapp.telemetry.redaction import Redactor

#: Longest wait for a list of models, and for one answer, seconds.
LIST_TIMEOUT_S = 5.0
LIVE_TIMEOUT_S = 60.0


@runtime_checkable
class ListsModels(Protocol):
    """A provider that says which models it has."""

    @property
    def models_url(self) -> URL:
        """Where it is asked."""
        ...

    async def models(self) -> list[str] | None:
        """Return their names; None where targets are named in another way."""
        ...

    async def has_model(self, model: str) -> bool:
        """Whether it knows a model that it does not list."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


async def providers(settings: Settings, *, is_live: bool = False) -> list[Finding]:
    """Ask each provider for its models: the cheapest call that shows address, key and models.

    Args:
        settings: Of the providers and routes.
        is_live: Whether each target is asked for a token as well, by `live`.
    """
    wanted = _models_by_provider(settings)
    found = await asyncio.gather(
        *(
            _listed(name, one, wanted.get(name, []), is_live=is_live)
            for name, one in settings.providers.items()
        )
    )
    return [finding for findings in found for finding in findings]


async def live(settings: Settings) -> list[Finding]:
    """Ask each target for one token."""
    wanted = _models_by_provider(settings)
    found = []
    for name, provider in settings.providers.items():
        if provider.kind != "offline":
            found.append(_answered(name, provider, wanted.get(name, []), _embed_only(settings)))
    return [finding for findings in await asyncio.gather(*found) for finding in findings]


def _models_by_provider(settings: Settings) -> Mapping[str, list[str]]:
    targets = [target for route in settings.models.values() for target in route.all_targets]
    targets += sorted(_embed_only(settings).difference(targets))
    wanted: dict[str, list[str]] = {}
    for target in dict.fromkeys(targets):
        name, _, model = target.partition("/")
        wanted.setdefault(name, []).append(model)
    return wanted


def _embed_only(settings: Settings) -> frozenset[str]:
    """Return the targets that are asked for vectors alone."""
    embed = embed_route(settings.embed_model, providers=settings.providers, models=settings.models)
    others = (route for name, route in settings.models.items() if name != settings.embed_model)
    chat = {target for route in others for target in route.all_targets}
    return frozenset(embed.all_targets if embed else ()).difference(chat)


async def _listed(
    name: str, settings: ProviderSettings, models: Sequence[str], *, is_live: bool
) -> list[Finding]:
    title = f"provider {name}"
    if settings.kind == "offline":
        return [_offline(title, models)]
    try:
        adapter = build_provider(name, settings)
    except ConfigurationError as error:
        return [Finding(title, False, str(error))]
    if isinstance(adapter, LiteLLMProvider):
        await adapter.aclose()
        found = [_of_vendor(name, settings, adapter, model, is_live=is_live) for model in models]
        return [finding for findings in await asyncio.gather(*found) for finding in findings]
    if not isinstance(adapter, ListsModels):
        await adapter.aclose()
        return [Finding(title, True, "not asked: only `check --live` calls it")]
    return await _asked(name, title, settings, adapter, models, is_live=is_live)


def _offline(title: str, models: Sequence[str]) -> Finding:
    """Return a note where it stands in for a model, as where the key of a vendor is not set."""
    detail, named = "built in, for trials without a model", [m for m in models if m != "offline"]
    if not named:
        return Finding(title, True, detail)
    mend = (
        "to ask it, add a [providers.NAME] of its vendor's kind to the file, or set OPENAI_API_KEY"
        " or OPENAI_BASE_URL where the file has none"
    )
    detail = f"answers by rules in place of {', '.join(named)}: {mend}"
    return Finding(title, True, detail, is_note=True)


async def _of_vendor(
    name: str, settings: ProviderSettings, adapter: LiteLLMProvider, target: str, *, is_live: bool
) -> list[Finding]:
    """Look at one target of litellm's: its vendor, its key, and the models there are."""
    title = f"target {name}/{target}"
    try:
        vendor = adapter.vendor_of(target)
    except ConfigurationError as error:
        return [Finding(title, False, str(error))]
    missing = f"{' or '.join(vendor.missing)} is not set" if vendor.missing else ""
    if vendor.lister is None:
        # Clouds have other ways to a key than the environment.
        detail = "not asked: only `check --live` calls it"
        return [Finding(title, True, f"{detail}; {missing}" if missing else detail)]
    if missing:
        await vendor.lister.aclose()
        hint = f"litellm needs it for {vendor.name}; or name the variable in api_key_env"
        return [Finding(title, False, f"{missing}: {hint}")]
    # With what the vendor leaves out, its model is named as the target is.
    name = f"{name}/{target.removesuffix(vendor.model)}".rstrip("/")
    return await _asked(name, title, settings, vendor.lister, [vendor.model], is_live=is_live)


async def _asked(
    name: str,
    title: str,
    settings: ProviderSettings,
    adapter: ListsModels,
    models: Sequence[str],
    *,
    is_live: bool,
) -> list[Finding]:
    """Ask for the models; closes the adapter."""
    try:
        async with asyncio.timeout(LIST_TIMEOUT_S):
            listed = await adapter.models()
            unknown = [model for model in models if listed and not _is_listed(model, listed)]
            unknown = [model for model in unknown if not await adapter.has_model(model)]
    except (Failure, TimeoutError) as error:
        status = getattr(error, "status", None)
        is_own = settings.kind != "litellm" or settings.base_url is not None
        if not is_own and status == 404:
            return [Finding(title, True, f"{adapter.models_url} has no list of models")]
        if not is_live and status in (404, 405):
            # As gateways, and what stands in front of Azure, often do; calls may work.
            detail = "either it lists no models, or check base_url: `check --live` tells"
            detail = f"{adapter.models_url} answers {status}: {detail}"
            return [Finding(title, True, detail, is_note=True)]
        return [_wrong(title, settings, adapter, error)]
    finally:
        await adapter.aclose()
    # Some list their models for anybody.
    untested = "; only --live tests the key" if settings.api_key and not is_live else ""
    if listed is None:
        detail = f"{adapter.models_url} answers; it lists no targets{untested}"
        return [Finding(title, True, detail)]
    answers = Finding(title, True, f"{adapter.models_url} answers{untested}")
    return [answers, *(_unknown(name, model, listed) for model in unknown)]


def _wrong(
    title: str, settings: ProviderSettings, adapter: ListsModels, error: Exception
) -> Finding:
    url, status = adapter.models_url, getattr(error, "status", None)
    if isinstance(error, RateLimited) or (isinstance(error, ProviderForbidden) and status == 429):
        return Finding(title, True, f"{url} answers {status}")
    if status in (404, 405) or (isinstance(status, int) and 300 <= status < 400):
        return Finding(title, False, f"{url} answers {status}: check base_url")
    if isinstance(error, ProviderForbidden) and status == 200:
        return Finding(title, False, f"{url} is a web page: check base_url")
    if isinstance(error, ProviderForbidden) and status != 403:
        return Finding(title, False, f"{url} answers {status}: check base_url")
    if isinstance(error, ProviderDenied):
        held = _key_variables(settings)
        return Finding(title, False, f"{url} refuses the key ({status}): check {held}")
    if status is None or status == 200:
        detail = f"{url} does not answer ({_cause(error)}): check base_url and network"
        return Finding(title, False, detail)
    return Finding(title, False, f"{url} answers {status}")


def _key_variables(settings: ProviderSettings) -> str:
    """Return the variables that may hold the key, or where one would be named."""
    return ", ".join(filter(None, (settings.api_key_env, *settings.headers_env.values()))) or (
        "api_key_env"
    )


def _cause(error: Exception) -> str:
    if isinstance(error, ProviderError) and error.status == 200:
        return "no list of models"
    return failure_name(error.__cause__ or error)


def _unknown(name: str, model: str, listed: Sequence[str]) -> Finding:
    near = get_close_matches(model, [one.removeprefix("models/") for one in listed], n=3)
    hint = f"; near to it: {', '.join(near)}" if near else ""
    return Finding(f"model {name}/{model}", False, f"the provider does not list it{hint}")


def _is_listed(model: str, listed: Sequence[str]) -> bool:
    """Whether a list names a model: Gemini's with ``models/``, Ollama's with ``:latest``."""
    return any(
        model in (one, one.removeprefix("models/"), one.removesuffix(":latest")) for one in listed
    )


async def _answered(
    name: str, settings: ProviderSettings, models: Sequence[str], embed_only: Collection[str]
) -> list[Finding]:
    try:
        adapter = build_provider(name, settings)
    except ConfigurationError as error:
        return [Finding(f"provider {name}", False, str(error))]
    try:
        return [
            await _one_token(
                adapter, name, model, settings, is_embedding=f"{name}/{model}" in embed_only
            )
            for model in models
        ]
    finally:
        await adapter.aclose()


async def _one_token(
    adapter: LLMProvider,
    name: str,
    model: str,
    settings: ProviderSettings,
    *,
    is_embedding: bool,
) -> Finding:
    title = f"target {name}/{model}"
    call = Call(
        model=model,
        messages=[{"role": "user", "content": "Say ok."}],
        parameters={"max_tokens": 1},
        deadline=Deadline(LIVE_TIMEOUT_S, time.monotonic),
    )
    if is_embedding:
        call = call.but(operation="embeddings", messages=(), inputs=["ok"], parameters={})
    try:
        async with asyncio.timeout(LIVE_TIMEOUT_S):
            completion = await adapter.complete(call)
    except TimeoutError:
        return Finding(title, False, f"no answer within {LIVE_TIMEOUT_S:.0f} s")
    except ModelUnavailable as error:
        return Finding(title, False, f"{error}: the model does not exist{_said(error, settings)}")
    except ProviderDenied as error:
        mend = ""
        if error.status in (401, 403):
            mend = f": it refuses the key, check {_key_variables(settings)}"
        return Finding(title, False, f"{error}{mend}{_said(error, settings)}")
    except Failure as error:
        return Finding(title, False, f"{error}{_said(error, settings)}")
    return Finding(title, True, f"{completion.model} answers")


def _said(error: Failure, settings: ProviderSettings) -> str:
    """Return what the provider said of our own words, which hold nothing of anybody's."""
    told = quotation(getattr(error, "told", ""), Redactor(settings.secrets))
    return f"; the provider says: {told}" if told else ""
