"""The tables of ``streamapp.toml``: providers, models, budgets; and their defaults."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from streamapp.settings.variables import named_for, unset, unset_headers

PREFIX = "STREAMAPP_"
URL, URL_OR_NONE = r"^https?://", r"^(https?://\S+)?$"
STORE = r"^(memory|rocksdb)://"
API_VERSION = r"^[0-9A-Za-z.-]{1,40}$"
DEFAULT_TIMEOUT_S = DEFAULT_STREAM_IDLE_S = 60.0
#: Longest wait for an answer of a broker, seconds: no session may be longer.
SESSION_LIMIT_S = 180.0

ProviderKind = Literal["openai", "azure-openai", "anthropic", "litellm", "offline"]


class PriceSettings(BaseModel):
    """The ``price`` of a model, US dollars per million tokens; what is left out is unknown."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    input: Decimal | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Of tokens that are sent."""
    output: Decimal | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Of tokens that are answered."""
    cache_read: Decimal | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Of tokens that the provider had cached; as `input` without it."""


class ProviderModelSettings(BaseModel):
    """One ``[providers.NAME.models.MODEL]``: limits of one model, within the provider's."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    requests_per_minute: float | None = Field(default=None, gt=0)
    """Limit of all workers together; the provider's holds as well."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Limit of all workers together, input and output; the provider's holds as well."""
    burst_s: float | None = Field(default=None, ge=0)
    """Seconds' worth of the model's limits that may be used at once; the provider's without it."""
    max_concurrency: int | None = Field(default=None, gt=0)
    """Calls at a time, of all workers together."""
    timeout_s: float | None = Field(default=None, gt=0)
    """Longest time of one attempt that is answered whole, seconds; the provider's without it."""
    stream_idle_s: float | None = Field(default=None, gt=0)
    """Longest silence within a streamed answer, seconds; the provider's without it."""
    price: PriceSettings | None = None
    """US dollars per million tokens; it wins over `PRICES_FILE` and over list prices."""


class ProviderSettings(BaseModel):
    """One ``[providers.NAME]`` of the file.

    The key is read from the variable ``api_key_env`` into ``api_key`` and never belongs into
    the file.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kind: ProviderKind
    """How the provider is spoken to."""
    base_url: str | None = None
    """Another address than the vendor's own, up to its `/v1`: vLLM, Ollama, llama.cpp, a proxy."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key."""
    api_key: SecretStr | None = Field(default=None, exclude=True)
    api_version: str | None = Field(default=None, pattern=API_VERSION)
    """A date of Azure's or Anthropic's API, where another one than the current is wanted."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Limit of all workers together; none without it."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Limit of all workers together, input and output; none without it."""
    burst_s: float = Field(default=0.05, ge=0)
    """Seconds' worth of the limits that may be used at once, at least one request."""
    max_concurrency: int | None = Field(default=None, gt=0)
    """Calls at a time, of all workers together."""
    timeout_s: float | None = Field(default=None, gt=0)
    """Longest time of one attempt that is answered whole, seconds; `TIMEOUT_S` without it."""
    stream_idle_s: float | None = Field(default=None, gt=0)
    """Longest silence within a streamed answer, seconds; `STREAM_IDLE_S` without it."""
    models: dict[str, ProviderModelSettings] = Field(default_factory=dict)
    """Of single models: `[providers.NAME.models.MODEL]`."""
    structured: Literal["json_schema", "json_object", "prompt"] | None = None
    """How it is asked for JSON; without it found out, and remembered, at the first refusal."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Fields sent with each call; none may replace what each call sets."""
    extra_headers: dict[str, str] = Field(default_factory=dict)
    """Headers sent with each call; likewise."""
    headers_env: dict[str, str] = Field(default_factory=dict)
    """More of them, by the names of the environment variables that hold them."""
    pass_through: list[str] = Field(default_factory=list)
    """Fields of callers, besides OpenAI's own, that this provider takes."""
    show_errors: bool = False
    """Whether dead letters, HTTP errors and the log quote what the provider says of an error, cut
    and without secrets; it may quote the request.
    """

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may show: the key, and the values of headers."""
        key = self.api_key.get_secret_value() if self.api_key else ""
        return tuple(filter(None, (key, *self.extra_headers.values())))


class ModelSettings(BaseModel):
    """One ``[models.NAME]`` of the file: what a record's ``model`` names."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    targets: list[str] = Field(min_length=1)
    """Tried in this order, each `PROVIDER/MODEL`."""
    context_length: list[str] = Field(default_factory=list)
    """In their place where the input does not fit the model that was asked."""
    content_filter: list[str] = Field(default_factory=list)
    """In their place where a provider's policy refuses the input or the answer."""
    on_timeout: Literal["next", "retry"] = "next"
    """After the first timeout or 429 with another target left: `next` asks that one, `retry` asks
    again first.
    """

    @property
    def all_targets(self) -> tuple[str, ...]:
        """Every target once, in the order to try."""
        return tuple(dict.fromkeys([*self.targets, *self.context_length, *self.content_filter]))


class BudgetSettings(BaseModel):
    """One ``[budgets.NAME]`` of the file: how much may be spent, and what happens beyond."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    limit_usd: Decimal | None = Field(default=None, ge=0)
    """US dollars by known prices."""
    limit_records: int | None = Field(default=None, ge=0)
    """Records that may begin: each counts once, and then finishes its further calls."""
    limit_tokens: int | None = Field(default=None, ge=0)
    """Input and output together. Like `limit_usd` it acts between the calls of a record, too."""
    period: Literal["day", "month"] = "day"
    """A day or month of UTC."""
    per: Literal["all", "tenant"] = "all"
    """`tenant` counts each `metadata.tenant` by itself, and all calls without one together. Budgets
    of one `period` and one `per` share their sums, whatever their names."""
    action: Literal["warn", "downgrade", "hold", "dead_letter"]
    """What happens to records beyond the limit."""
    model: str | None = None
    """For the action `downgrade`: the route that answers instead."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.limit_usd, self.limit_records, self.limit_tokens) == (None, None, None):
            raise ValueError("set limit_usd, limit_records or limit_tokens")
        if (self.action == "downgrade") != (self.model is not None):
            raise ValueError("model belongs to the action 'downgrade': the route to use instead")
        return self


def implied(
    providers: Mapping[str, ProviderSettings],
    models: Mapping[str, ModelSettings],
    *,
    model: str | None,
    environment: Mapping[str, str | None],
    may_lack: bool = False,
) -> tuple[dict[str, ProviderSettings], dict[str, ModelSettings], list[str]]:
    """Add the provider that the environment implies, the default route, and providers' keys.

    Args:
        providers: As the operator wrote them.
        models: Likewise.
        model: Of the default route, where the operator wrote none.
        environment: Holds the keys.
        may_lack: Whether it need not hold them: nobody will call a provider.

    Returns:
        All providers, all routes, and a line for each thing that is wrong.
    """
    found, routes, problems = dict(providers), dict(models), []
    if not found:
        if environment.get("OPENAI_API_KEY") or environment.get("OPENAI_BASE_URL"):
            if not model:
                problems.append(
                    f"OPENAI_API_KEY or OPENAI_BASE_URL is set: {PREFIX}MODEL must name the model"
                )
            found["openai"] = ProviderSettings(
                kind="openai",
                base_url=environment.get("OPENAI_BASE_URL") or None,
                api_key_env="OPENAI_API_KEY",
            )
        else:
            found["offline"] = ProviderSettings(kind="offline")
    if "default" not in routes and not problems:
        name = next(iter(found))
        default = model or ("offline" if found[name].kind == "offline" else None)
        if default:
            routes["default"] = ModelSettings(targets=[f"{name}/{default}"])
        else:
            problems.append(f"no route: add [models.default] to the file, or set {PREFIX}MODEL")
    for name, provider in found.items():
        if provider.api_key_env and provider.api_key is None:
            if value := environment.get(provider.api_key_env):
                found[name] = provider.model_copy(update={"api_key": SecretStr(value)})
            elif name in providers and (
                wrong := unset(
                    provider.api_key_env,
                    environment,
                    example=named_for(name, "_API_KEY"),
                    may_lack=may_lack,
                )
            ):
                problems.append(f"providers.{name}.api_key_env: {wrong}")
        path = f"providers.{name}.headers_env"
        problems += unset_headers(path, provider.headers_env, environment, may_lack=may_lack)
        held = {
            header: value
            for header, variable in provider.headers_env.items()
            if (value := environment.get(variable))
        }
        if held:
            headers = provider.extra_headers | held
            found[name] = found[name].model_copy(update={"extra_headers": headers})
    return found, routes, problems
