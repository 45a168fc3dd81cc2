"""Settings: environment over file over defaults; the one place that reads the environment."""

import os
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import unquote

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from streamapp.errors import ConfigurationError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PREFIX = "STREAMAPP_"

ProviderKind = Literal["openai", "azure-openai", "anthropic", "litellm", "offline"]


class ProviderSettings(BaseModel):
    """One ``[providers.NAME]`` of the file.

    The key is read from the variable ``api_key_env`` into ``api_key`` and never belongs into
    the file.
    """

    model_config = ConfigDict(extra="forbid")

    kind: ProviderKind
    """How the provider is spoken to."""
    base_url: str | None = None
    """Another address than the vendor's own, up to its `/v1`: vLLM, Ollama, llama.cpp, a proxy."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key."""
    api_key: SecretStr | None = Field(default=None, exclude=True)
    api_version: str | None = Field(default=None, pattern=r"^[0-9A-Za-z.-]{1,40}$")
    """A date of Azure's or Anthropic's API, where another one than the current is wanted."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Limit of all workers together; none without it."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Limit of all workers together, input and output; none without it."""
    burst_s: float = Field(default=0.05, ge=0)
    """Seconds' worth of the limits that may be used at once, at least one request."""
    max_concurrency: int | None = Field(default=None, gt=0)
    """Calls at a time, of all workers together."""
    timeout_s: float = Field(default=60, gt=0)
    """Longest time of one attempt, seconds."""


class ModelSettings(BaseModel):
    """One ``[models.NAME]`` of the file: what a record's ``model`` names."""

    model_config = ConfigDict(extra="forbid")

    targets: list[str] = Field(min_length=1)
    """Tried in this order, each `PROVIDER/MODEL`."""
    context_length: list[str] = Field(default_factory=list)
    """In their place where the input does not fit the model that was asked."""
    content_filter: list[str] = Field(default_factory=list)
    """In their place where a provider's policy refuses the input or the answer."""

    @property
    def all_targets(self) -> tuple[str, ...]:
        """Every target once, in the order to try."""
        return tuple(dict.fromkeys([*self.targets, *self.context_length, *self.content_filter]))


class BudgetSettings(BaseModel):
    """One ``[budgets.NAME]`` of the file: how much may be spent, and what happens beyond."""

    model_config = ConfigDict(extra="forbid")

    limit_usd: Decimal | None = Field(default=None, ge=0)
    """US dollars by known prices."""
    limit_records: int | None = Field(default=None, ge=0)
    """Calls let through; the built-in record types make one each."""
    limit_tokens: int | None = Field(default=None, ge=0)
    """Input and output together."""
    period: Literal["day", "month"] = "day"
    """A day or month of UTC."""
    per: Literal["all", "tenant"] = "all"
    """`tenant` counts each `metadata.tenant` by itself."""
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


class Settings(BaseSettings):
    """All settings, by the names of the contract without their prefix.

    The line under each is its line in docs/reference/settings.md.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        extra="forbid",
        validate_default=True,
    )

    config: Path | None = None
    """Path of the file; without it `streamapp.toml` in the working directory, if there is one."""
    broker: str = "kafka://localhost:9092"
    """One or more `kafka://HOST:PORT`, separated by `;`."""
    app_id: str = Field(default="streamapp", pattern=r"^[A-Za-z0-9._-]{1,200}$")
    """Consumer group, and first part of the names of changelogs."""
    topic_prefix: str = Field(default="llm", pattern=r"^[A-Za-z0-9._-]{1,200}$")
    """First part of the names of all topics."""
    partitions: int = Field(default=8, gt=0)
    """Partitions of the topics that it creates; existing ones must have as many."""
    replication_factor: int = Field(default=1, gt=0)
    """Replicas of the topics that it creates: 3 in production."""
    store: str = Field(default="memory://", pattern=r"^(memory|rocksdb)://")
    """Where tables are kept: `memory://` or `rocksdb://`, both rebuilt from Kafka."""
    data_dir: Path = Path("./data")
    """Folder of the worker, for itself alone."""
    max_in_flight: int = Field(default=256, gt=0)
    """Records in process per worker."""
    ordering: Literal["key", "partition", "none"] = "key"
    """One at a time per `key`, per `partition`, or `none`."""
    deadline_s: float = Field(default=90, gt=0)
    """Longest active time of a record, retries and fallbacks included; waiting does not count.
    Over HTTP the whole request.
    """
    drain_s: float = Field(default=100, gt=0)
    """Longest drain at SIGTERM; past it the process ends non-zero."""
    revoke_drain_s: float = Field(default=15, ge=0)
    """Longest drain at a rebalance, which holds up the whole group."""
    session_timeout_s: float = Field(default=10, ge=6)
    """A killed worker's partitions move after this."""
    model: str | None = None
    """Model of the default route, where the file has none."""
    embed_model: str | None = None
    """Model of `embed` records that name none; without it that of the default route."""
    prompts_dir: Path = Path("prompts")
    """Folder of prompt files, beside the built-in ones."""
    examples_hosts: str = ""
    """Hosts, or `HOST:PORT`, that few-shot examples may be fetched from; comma-separated."""
    processors: str = ""
    """Python modules with processors of your own; comma-separated."""
    ledger_ttl_s: float = Field(default=600, gt=0)
    """How long a finished id is remembered; one that is not committed always is."""
    ledger_max_mb: float = Field(default=64, gt=0)
    """Size past which finished ids are forgotten earlier."""
    cache_ttl_s: float = Field(default=3600, ge=0)
    """How long answers are kept for equal calls; 0 turns that off."""
    cache_url: str = ""
    """A shared tier: `redis://`, `rediss://` or `unix://`."""
    cache_max_mb: float = Field(default=16, gt=0)
    """Size of the worker's own tier."""
    prices_file: Path | None = None
    """Prices of your own, TOML or JSON; they win over list prices."""
    global_requests_per_minute: float | None = Field(default=None, gt=0)
    """Limit over all providers and all workers."""
    global_tokens_per_minute: float | None = Field(default=None, gt=0)
    """Limit over all providers and all workers, input and output."""
    global_burst_s: float = Field(default=0.05, ge=0)
    """Seconds' worth of the global limits that may be used at once."""
    web_host: str = "127.0.0.1"
    """Address to listen on; another one than the loopback needs keys."""
    web_port: int = Field(default=6066, ge=0, le=65535)
    """Port to listen on."""
    web_url: str = ""
    """Where other workers reach this one; without it the host and port."""
    web_cert_file: Path | None = None
    """Certificate, PEM: HTTP speaks TLS alone. Goes with the key file."""
    web_key_file: Path | None = None
    """Key of that certificate, PEM."""
    api_keys: SecretStr = SecretStr("")
    """Bearer tokens of HTTP, comma-separated; workers use the first one between them."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""
    log_format: Literal["console", "json"] = "console"
    """For people, or one JSON object a line."""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How brokers are spoken to."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """How the worker proves who it is."""
    kafka_sasl_username: str = ""
    """User of SASL."""
    kafka_sasl_password: SecretStr = SecretStr("")
    """Password of SASL."""
    kafka_ca_file: Path | None = None
    """PEM file of the brokers' authority, where the system does not know it."""
    kafka_cert_file: Path | None = None
    """The worker's certificate for mTLS, PEM."""
    kafka_key_file: Path | None = None
    """Key of that certificate, PEM."""
    kafka_allow_plaintext_sasl: bool = False
    """Allow `SASL_PLAINTEXT`, which sends the password in the clear."""
    providers: dict[str, ProviderSettings] = Field(default_factory=dict)
    models: dict[str, ModelSettings] = Field(default_factory=dict)
    budgets: dict[str, BudgetSettings] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, ``.env``, ``streamapp.toml``."""
        file = os.environ.get(f"{PREFIX}CONFIG", "streamapp.toml")
        return (
            init_settings,
            env_settings,
            dotenv_settings,
            TomlConfigSettingsSource(settings_cls, toml_file=file),
        )

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("broker")
    @classmethod
    def _broker_urls(cls, value: str) -> str:
        urls = [url.strip() for url in value.split(";") if url.strip()]
        if not urls or not all(url.startswith("kafka://") for url in urls):
            raise ValueError("must be kafka://HOST:PORT, several separated by ';'")
        return ";".join(urls)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.web_host not in LOOPBACK and not self.keys:
            raise ValueError(f"web_host {self.web_host} is public: set {PREFIX}API_KEYS")
        if (self.web_cert_file is None) != (self.web_key_file is None):
            raise ValueError(f"{PREFIX}WEB_CERT_FILE and {PREFIX}WEB_KEY_FILE: set both or none")
        plaintext = self.kafka_security_protocol == "SASL_PLAINTEXT"
        if plaintext and not self.kafka_allow_plaintext_sasl:
            raise ValueError(
                "SASL without TLS sends the password in the clear: use SASL_SSL,"
                f" or set {PREFIX}KAFKA_ALLOW_PLAINTEXT_SASL=true"
            )
        for name, route in self.models.items():
            for target in route.all_targets:
                provider, _, model = target.partition("/")
                if provider not in self.providers or not model:
                    raise ValueError(
                        f"models.{name} target {target!r}: write PROVIDER/MODEL with one of"
                        f" the providers {sorted(self.providers)}"
                    )
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """The bearer tokens, in order; the first one is used between workers."""
        parts = self.api_keys.get_secret_value().split(",")
        return tuple(key.strip() for key in parts if key.strip())

    @property
    def brokers(self) -> list[str]:
        """``HOST:PORT`` of each broker, as Kafka clients want them."""
        return [url.removeprefix("kafka://") for url in self.broker.split(";")]

    @property
    def processor_modules(self) -> tuple[str, ...]:
        """Dotted names of the user's processor modules."""
        return tuple(name.strip() for name in self.processors.split(",") if name.strip())

    @property
    def allowed_example_hosts(self) -> frozenset[str]:
        """Hosts, or ``HOST:PORT``, from which prompts may fetch examples."""
        return frozenset(h.strip().lower() for h in self.examples_hosts.split(",") if h.strip())

    def topic(self, name: str) -> str:
        """Return the full name of one of our topics, e.g. ``requests`` -> ``llm.requests``."""
        return f"{self.topic_prefix}.{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingSettings:
    """What OpenTelemetry's own variables mean to us; its SDK reads the others itself.

    Attributes:
        is_on: Whether spans are wanted.
        captures_content: Whether the text of messages and answers may be in them.
        secrets: Values of the headers that go to the collector.
    """

    is_on: bool = False
    captures_content: bool = False
    secrets: tuple[str, ...] = ()


def tracing_settings() -> TracingSettings:
    """Read ``OTEL_*``.

    Raises:
        ConfigurationError: Another protocol than http/protobuf is asked for.
    """

    def read(name: str) -> str:
        signal = os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "").strip()
        return signal or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()

    is_on = (
        bool(read("ENDPOINT"))
        and os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"
        and os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() in ("", "otlp")
    )
    if is_on and read("PROTOCOL") not in ("", "http/protobuf"):
        raise ConfigurationError("OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is spoken")
    captures = os.environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "")
    headers = [pair.partition("=")[2] or pair for pair in read("HEADERS").split(",")]
    return TracingSettings(
        is_on=is_on,
        captures_content=captures.strip().lower() in ("true", "span_only", "span_and_event"),
        secrets=tuple(unquote(value.strip()) for value in headers if value.strip()),
    )


def load_settings(**overrides: Any) -> Settings:
    """Read the settings, the providers' keys included.

    Args:
        overrides: Values that win over every source, by field name.

    Raises:
        ConfigurationError: A value is wrong; one line that names it and what to change.
    """
    file = Path(os.environ.get(f"{PREFIX}CONFIG", "streamapp.toml"))
    if f"{PREFIX}CONFIG" in os.environ and not file.is_file():
        raise ConfigurationError(f"{PREFIX}CONFIG: there is no file {str(file)!r}")
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        raise ConfigurationError(_one_line(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file}: not valid TOML: {error}") from None
    return _with_providers(settings)


def _with_providers(settings: Settings) -> Settings:
    """Add the provider that the environment implies, and read each provider's key."""
    providers, models = dict(settings.providers), dict(settings.models)
    if not providers:
        if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
            if not settings.model:
                raise ConfigurationError(
                    f"OPENAI_API_KEY or OPENAI_BASE_URL is set: {PREFIX}MODEL must name the model"
                )
            providers["openai"] = ProviderSettings(
                kind="openai",
                base_url=os.environ.get("OPENAI_BASE_URL") or None,
                api_key_env="OPENAI_API_KEY",
            )
        else:
            providers["offline"] = ProviderSettings(kind="offline")
    if "default" not in models:
        name = next(iter(providers))
        model = settings.model or ("offline" if providers[name].kind == "offline" else None)
        if model is None:
            raise ConfigurationError(
                f"no route: add [models.default] to the file, or set {PREFIX}MODEL"
            )
        models["default"] = ModelSettings(targets=[f"{name}/{model}"])
    for name, provider in providers.items():
        if provider.api_key_env and provider.api_key is None:
            value = os.environ.get(provider.api_key_env)
            if value:
                key = SecretStr(value)
                providers[name] = provider.model_copy(update={"api_key": key})
            elif name in settings.providers:
                raise ConfigurationError(
                    f"providers.{name}: the environment variable {provider.api_key_env} is not set"
                )
    return settings.model_copy(update={"providers": providers, "models": models})


def _one_line(error: ValidationError) -> str:
    """Return the first problem as one line that names the variable; never its value."""
    first = error.errors(include_input=False, include_url=False)[0]
    name = "__".join(str(part) for part in first["loc"]).upper()
    message = first["msg"].removeprefix("Value error, ")
    return f"{PREFIX}{name}: {message}" if name else message
