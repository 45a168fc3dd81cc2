"""Settings: environment over file over defaults; the one place that reads the environment."""

import os
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self

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

    ``api_key_env`` names the environment variable that holds the key; the key itself is
    read from there into ``api_key`` and never belongs into the file. ``api_version`` is Azure's
    or Anthropic's date of their API, where another one than the current is wanted.
    """

    model_config = ConfigDict(extra="forbid")

    kind: ProviderKind
    base_url: str | None = None
    api_key_env: str | None = None
    api_key: SecretStr | None = Field(default=None, exclude=True)
    api_version: str | None = Field(default=None, pattern=r"^[0-9A-Za-z.-]{1,40}$")
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    burst_s: float = Field(default=0.05, ge=0)
    max_concurrency: int | None = Field(default=None, gt=0)
    timeout_s: float = Field(default=60, gt=0)


class ModelSettings(BaseModel):
    """One ``[models.NAME]`` of the file: ``provider/model`` targets in the order to try.

    Attributes:
        context_length: Tried where the input does not fit the model that was asked.
        content_filter: Tried where a provider's policy refuses the input or the answer.
    """

    model_config = ConfigDict(extra="forbid")

    targets: list[str] = Field(min_length=1)
    context_length: list[str] = Field(default_factory=list)
    content_filter: list[str] = Field(default_factory=list)

    @property
    def all_targets(self) -> tuple[str, ...]:
        """Every target once, in the order to try."""
        return tuple(dict.fromkeys([*self.targets, *self.context_length, *self.content_filter]))


class BudgetSettings(BaseModel):
    """One ``[budgets.NAME]`` of the file: how much may be spent, and what happens beyond.

    Attributes:
        limit_records: Calls let through; the built-in record types make one each.
        limit_tokens: Of input and output together.
        period: A day or month of UTC.
        per: ``tenant`` counts each ``metadata.tenant`` by itself.
        model: The route that answers instead, for the action ``downgrade``.
    """

    model_config = ConfigDict(extra="forbid")

    limit_usd: Decimal | None = Field(default=None, ge=0)
    limit_records: int | None = Field(default=None, ge=0)
    limit_tokens: int | None = Field(default=None, ge=0)
    period: Literal["day", "month"] = "day"
    per: Literal["all", "tenant"] = "all"
    action: Literal["warn", "downgrade", "hold", "dead_letter"]
    model: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.limit_usd, self.limit_records, self.limit_tokens) == (None, None, None):
            raise ValueError("set limit_usd, limit_records or limit_tokens")
        if (self.action == "downgrade") != (self.model is not None):
            raise ValueError("model belongs to the action 'downgrade': the route to use instead")
        return self


class Settings(BaseSettings):
    """All settings, by the names of the contract without their prefix."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        extra="forbid",
        validate_default=True,
    )

    config: Path | None = None
    broker: str = "kafka://localhost:9092"
    app_id: str = Field(default="streamapp", pattern=r"^[A-Za-z0-9._-]{1,200}$")
    topic_prefix: str = Field(default="llm", pattern=r"^[A-Za-z0-9._-]{1,200}$")
    partitions: int = Field(default=8, gt=0)
    replication_factor: int = Field(default=1, gt=0)
    store: str = Field(default="memory://", pattern=r"^(memory|rocksdb)://")
    data_dir: Path = Path("./data")
    max_in_flight: int = Field(default=256, gt=0)
    ordering: Literal["key", "partition", "none"] = "key"
    deadline_s: float = Field(default=90, gt=0)
    drain_s: float = Field(default=100, gt=0)
    revoke_drain_s: float = Field(default=15, ge=0)
    session_timeout_s: float = Field(default=10, ge=6)
    model: str | None = None
    embed_model: str | None = None
    prompts_dir: Path = Path("prompts")
    examples_hosts: str = ""
    processors: str = ""
    ledger_ttl_s: float = Field(default=600, gt=0)
    ledger_max_mb: float = Field(default=64, gt=0)
    cache_ttl_s: float = Field(default=3600, ge=0)
    cache_url: str = ""
    cache_max_mb: float = Field(default=16, gt=0)
    prices_file: Path | None = None
    global_requests_per_minute: float | None = Field(default=None, gt=0)
    global_tokens_per_minute: float | None = Field(default=None, gt=0)
    global_burst_s: float = Field(default=0.05, ge=0)
    web_host: str = "127.0.0.1"
    web_port: int = Field(default=6066, ge=0, le=65535)
    web_url: str = ""
    web_cert_file: Path | None = None
    web_key_file: Path | None = None
    api_keys: SecretStr = SecretStr("")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str = ""
    kafka_sasl_password: SecretStr = SecretStr("")
    kafka_ca_file: Path | None = None
    kafka_cert_file: Path | None = None
    kafka_key_file: Path | None = None
    kafka_allow_plaintext_sasl: bool = False
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
