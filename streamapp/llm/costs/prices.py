"""Prices of tokens: public list prices, overridden by the operator's own; never a guess."""

import json
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from streamapp.errors import ConfigurationError
from streamapp.records.response import Usage
from streamapp.settings import ProviderSettings, Settings
from streamapp.settings.file_problems import file_problem
from streamapp.settings.syntax import syntax_problem

log = structlog.get_logger(__name__)

_MTOK = 1_000_000
_RESOLVED = 1_024
_DEFAULT_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}


class Price(BaseModel):
    """US dollars per million tokens; None where a kind of token has no known price.

    Attributes:
        cache_read: Of input tokens that the provider had cached; as ``input`` where None.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Decimal | None = Field(default=None, ge=0, allow_inf_nan=False)
    output: Decimal | None = Field(default=None, ge=0, allow_inf_nan=False)
    cache_read: Decimal | None = Field(default=None, ge=0, allow_inf_nan=False)

    def cost_usd(self, usage: Usage) -> Decimal | None:
        """Return US dollars, or None where a kind of token that was used has no price."""
        cached = usage.cached_input_tokens
        cache_read = self.input if self.cache_read is None else self.cache_read
        total = Decimal(0)
        for tokens, price in (
            (usage.input_tokens - cached, self.input),
            (cached, cache_read),
            (usage.output_tokens, self.output),
        ):
            if tokens:
                if price is None:
                    return None
                total += tokens * price
        return total / _MTOK


def _log_unknown(provider: str, model: str) -> None:
    log.warning(
        "cost.price_unknown",
        provider=provider,
        model=model,
        hint="its cost is null and counts for no budget in dollars: set STREAMAPP_PRICES_FILE",
    )


class Prices:
    """Prices by the configured provider's name and its models.

    Args:
        providers: As configured: a list price holds at the vendor's own address alone.
        private: By ``PROVIDER/MODEL``, as targets are written; they win.
        on_unknown: Told provider and model of each unknown price, once.

    Raises:
        ConfigurationError: A private price is of a provider that is not configured.
    """

    def __init__(
        self,
        providers: Mapping[str, ProviderSettings],
        private: Mapping[str, Price] | None = None,
        *,
        on_unknown: Callable[[str, str], None] = _log_unknown,
    ) -> None:
        self._providers = providers
        self._on_unknown = on_unknown
        self._private = private or {}
        for target in self._private:
            if target.partition("/")[0] not in providers:
                raise ConfigurationError(
                    f"prices_file: {target}: write PROVIDER/MODEL with one of the providers"
                    f" {sorted(providers)}"
                )
        self._price_of = lru_cache(_RESOLVED)(self._resolve)
        self._told: set[tuple[str, str]] = set()

    def look_up(self, targets: Iterable[str]) -> list[str]:
        """Return the targets whose price is unknown, and be ready for the others.

        Called at start, it keeps the loading of the list out of the first record's time. A
        target whose answers name a more exact model may turn out to have a price after all.
        """
        unknown = []
        for target in targets:
            provider, _, model = target.partition("/")
            if self._price_of(provider, model, model) is _unknown:
                unknown.append(target)
        return unknown

    def cost_usd(self, usage: Usage, *, provider: str, asked: str, answered: str) -> Decimal | None:
        """Return what ``usage`` costs, US dollars, or None where the price is unknown.

        Args:
            usage: Of one answer.
            provider: The configured name.
            asked: The model as the target names it.
            answered: The model as the answer names it, which may be more exact.
        """
        cost_usd = self._price_of(provider, asked, answered)(usage)
        if cost_usd is None:  # of a model without a price, or of a kind of token without one
            self._tell(provider, asked)
        return cost_usd

    def like(self, target: str, *, targets: Collection[str]) -> list[str]:
        """Return the name that is most like a target's, of own prices for none of the targets."""
        return get_close_matches(target, self._private.keys() - set(targets), n=1)

    def halves(self) -> dict[str, str]:
        """Return the targets whose own price is none of all tokens, each with what it lacks."""
        return {
            target: "output" if price.output is None else "input"
            for target, price in self._private.items()
            if price.output is None or price.input is None
        }

    def _resolve(
        self, provider: str, asked: str, answered: str
    ) -> Callable[[Usage], Decimal | None]:
        for model in (asked, answered):
            if price := self._private.get(f"{provider}/{model}"):
                return price.cost_usd
        settings = self._providers.get(provider)
        if settings is None or settings.kind == "offline":
            return Price(input=Decimal(0), output=Decimal(0)).cost_usd if settings else _unknown
        found = _list_price(settings, asked, answered)
        if found is None:
            self._tell(provider, asked)
        return found or _unknown

    def _tell(self, provider: str, model: str) -> None:
        if (provider, model) not in self._told:
            self._told.add((provider, model))
            self._on_unknown(provider, model)


def added_usd(total: Decimal | None, cost: Decimal | None) -> Decimal | None:
    """Return the sum; None, unknown, where one of both is."""
    return None if total is None or cost is None else total + cost


def prices_of(
    settings: Settings, *, on_unknown: Callable[[str, str], None] = _log_unknown
) -> Prices:
    """Return list prices, and the operator's own before them: of the file, and of each model.

    Args:
        settings: Name them.
        on_unknown: As of `Prices`.

    Raises:
        ConfigurationError: The file of prices is wrong.
    """
    private = load_prices(settings.prices_file) if settings.prices_file else {}
    for name, provider in settings.providers.items():
        for model, own in provider.models.items():
            if own.price is not None:
                private[f"{name}/{model}"] = Price(**own.price.model_dump())
    return Prices(settings.providers, private, on_unknown=on_unknown)


def load_prices(path: Path) -> dict[str, Price]:
    """Read private prices: a TOML or JSON table of `Price` by ``PROVIDER/MODEL``.

    Raises:
        ConfigurationError: There is no such file, or something in it is wrong.
    """
    try:
        text = path.read_text("utf-8-sig")
        fields = (
            json.loads(text, parse_float=Decimal)
            if path.suffix == ".json" or text.lstrip().startswith("{")  # which TOML never does
            else tomllib.loads(text, parse_float=Decimal)
        )
        return TypeAdapter(dict[str, Price]).validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        problem = first["msg"]
        if first["type"] == "extra_forbidden":
            near = get_close_matches(str(first["loc"][-1]), Price.model_fields, n=1)
            problem = "there is no such field" + (f"; did you mean {near[0]}?" if near else "")
        raise ConfigurationError(f"prices_file {path}: {where}: {problem}") from None
    except OSError as error:
        raise ConfigurationError(f"prices_file: {file_problem([path], error)}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(syntax_problem(str(path), text, error)) from None
    except ValueError as error:
        raise ConfigurationError(f"prices_file {path}: {error}") from None


def _list_price(
    settings: ProviderSettings, asked: str, answered: str
) -> Callable[[Usage], Decimal | None] | None:
    """Look the model up in genai-prices; one price for most, a calculation for tiers and times."""
    model, vendor = _reference(settings, asked, answered)
    if vendor.get("provider_api_url", "https://").startswith("http://"):
        return None  # every vendor's address is one of https
    # A fifth of a second and 22 MB that a worker with models of its own does without.
    from genai_prices import calc_price
    from genai_prices.types import ModelPrice, TieredPrices
    from genai_prices.types import Usage as Tokens

    def total(**tokens: int) -> Decimal:
        return calc_price(Tokens(**tokens), model, **vendor).total_price

    def exact(usage: Usage) -> Decimal:
        return total(
            input_tokens=usage.input_tokens,
            cache_read_tokens=usage.cached_input_tokens,
            output_tokens=usage.output_tokens,
        )

    try:
        rules = calc_price(Tokens(), model, **vendor).model.prices
        if not isinstance(rules, ModelPrice):
            return exact
        values = [value for value in vars(rules).values() if value is not None]
        if any(isinstance(value, TieredPrices) for value in values):
            return exact
        return Price(
            input=rules.input_mtok, output=rules.output_mtok, cache_read=rules.cache_read_mtok
        ).cost_usd
    except (LookupError, ValueError):
        return None


def _reference(settings: ProviderSettings, asked: str, answered: str) -> tuple[str, dict[str, Any]]:
    """Return the model and the vendor as genai-prices knows them."""
    if settings.kind == "azure-openai":
        return answered, {"provider_id": "azure"}
    if settings.kind == "litellm" and not settings.base_url:
        return asked, {"provider_id": "litellm"}
    return answered, {"provider_api_url": settings.base_url or _DEFAULT_URLS[settings.kind]}


def _unknown(usage: Usage) -> None:
    return None
