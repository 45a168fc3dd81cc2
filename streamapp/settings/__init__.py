"""The settings, their defaults, and the order of their sources: environment, file, defaults."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from streamapp.settings.checks import LOOPBACK as LOOPBACK
from streamapp.settings.checks import (
    Address,
    brokers_of,
    is_private,
    keys_of,
    listed,
    refuse_unknown_targets,
)
from streamapp.settings.checks import refuse_public as refuse_public
from streamapp.settings.environment import CONFIG_FILE, ENV_FILE, config_file, environment
from streamapp.settings.flows import TOPIC_PREFIX, FlowName, TopicPrefix
from streamapp.settings.flows import FlowSettings as FlowSettings
from streamapp.settings.keys import KeySettings as KeySettings
from streamapp.settings.mcp import McpName, McpSettings
from streamapp.settings.tables import DEFAULT_STREAM_IDLE_S as DEFAULT_STREAM_IDLE_S
from streamapp.settings.tables import DEFAULT_TIMEOUT_S as DEFAULT_TIMEOUT_S
from streamapp.settings.tables import PREFIX as PREFIX
from streamapp.settings.tables import SESSION_LIMIT_S as SESSION_LIMIT_S
from streamapp.settings.tables import STORE, URL_OR_NONE
from streamapp.settings.tables import BudgetSettings as BudgetSettings
from streamapp.settings.tables import ModelSettings as ModelSettings
from streamapp.settings.tables import ProviderKind as ProviderKind
from streamapp.settings.tables import ProviderModelSettings as ProviderModelSettings
from streamapp.settings.tables import ProviderSettings as ProviderSettings


class Settings(BaseSettings):
    """All settings, by the names of their variables without the prefix.

    The line under each is its line in docs/reference/settings.md.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=ENV_FILE,
        # As of `${NAME:-}` in a compose file: an empty path would be the working directory.
        env_ignore_empty=True,
        # It may hold the variables of other programs as well, as the environment does.
        dotenv_filtering="only_existing",
        extra="forbid",
        allow_inf_nan=False,
        validate_default=True,
    )

    config: Path | None = None
    """Path of the file; without it `streamapp.toml` in the working directory, if there is one."""
    broker: str = "kafka://localhost:9092"
    """One or more `kafka://HOST:PORT`, separated by `;`."""
    app_id: str = Field(default="streamapp", pattern=TOPIC_PREFIX)
    """Consumer group, and first part of the names of changelogs."""
    topic_prefix: TopicPrefix = "llm"
    """First part of the names of all topics, without the dot behind it."""
    partitions: int = Field(default=8, gt=0)
    """Partitions of its topics: as many as that of requests has, the others get them."""
    replication_factor: int = Field(default=1, gt=0)
    """Replicas of the topics that it creates: 3 in production."""
    store: str = Field(default="memory://", pattern=STORE)
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
    session_timeout_s: float = Field(default=10, ge=6, le=SESSION_LIMIT_S)
    """A killed worker's partitions move after this."""
    model: str | None = None
    """Model of the default route, where the file has none."""
    embed_model: str | None = None
    """For `embed` records that name no model, or `default`: a route, `PROVIDER/MODEL`, or a model
    of the default route's provider; else the default route answers them.
    """
    prompts_dir: Path = Path("prompts")
    """Folder of prompt files, beside the built-in ones."""
    examples_hosts: str = ""
    """Hosts, or `HOST:PORT`, that few-shot examples may be fetched from; comma-separated."""
    processors: str = ""
    """Python modules with processors of your own; comma-separated."""
    tools: str = ""
    """Python modules with tools of your own, for agents; comma-separated."""
    ledger_ttl_s: float = Field(default=600, gt=0)
    """How long a finished id is remembered; by a living worker also until it is committed."""
    ledger_max_mb: float = Field(default=64, gt=0)
    """Size past which finished ids are forgotten earlier."""
    cache_ttl_s: float = Field(default=3600, ge=0)
    """How long answers are kept for equal calls; 0 turns that off."""
    cache_url: SecretStr = SecretStr("")
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
    timeout_s: float = Field(default=DEFAULT_TIMEOUT_S, gt=0)
    """Longest time of one attempt that is answered whole; per provider and model in the file."""
    stream_idle_s: float = Field(default=DEFAULT_STREAM_IDLE_S, gt=0)
    """Longest silence within a streamed answer; per provider and model in the file."""
    web_host: str = "127.0.0.1"
    """Address to listen on; another one than the loopback needs keys."""
    web_port: int = Field(default=6066, ge=1, le=65535)
    """Port to listen on."""
    web_url: Address = ""
    """Where other workers reach this one, which no other one has; without it the host and port."""
    worker_url: Address = ""
    """Any worker, for the commands that ask one; without it `WEB_URL`, or the host and port."""
    web_cert_file: Path | None = None
    """Certificate, PEM: HTTP speaks TLS alone. Goes with the key file."""
    web_key_file: Path | None = None
    """Key of that certificate, PEM."""
    keys: dict[str, KeySettings] = Field(default_factory=dict)
    api_keys: SecretStr = SecretStr("")
    """Bearer tokens of HTTP, comma-separated; workers use the first one between them."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""
    log_format: Literal["console", "json"] = "console"
    """For people, or one JSON object a line."""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How brokers are spoken to."""
    kafka_isolation: Literal["read_committed", "read_uncommitted"] = "read_committed"
    """Which records of transactional producers are read: those of finished transactions, or all."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = (
        "PLAIN"
    )
    """How the worker proves who it is."""
    kafka_sasl_username: str = ""
    """User of SASL."""
    kafka_sasl_password: SecretStr = SecretStr("")
    """Password of SASL."""
    kafka_oauth_token_url: str = ""
    """Endpoint that gives tokens for `OAUTHBEARER` by client credentials."""
    kafka_oauth_client_id: str = ""
    """Client id for that endpoint."""
    kafka_oauth_client_secret: SecretStr = SecretStr("")
    """Client secret for that endpoint."""
    kafka_oauth_scope: str = ""
    """Scope that is asked for, where the endpoint wants one."""
    kafka_oauth_provider: str = ""
    """`module:callable` that returns a token and when it expires, in place of the endpoint."""
    kafka_ca_file: Path | None = None
    """PEM file of the brokers' authority, where the system does not know it."""
    kafka_cert_file: Path | None = None
    """The worker's certificate for mTLS, PEM."""
    kafka_key_file: Path | None = None
    """Key of that certificate, PEM."""
    kafka_allow_plaintext_sasl: bool = False
    """Allow `SASL_PLAINTEXT`, which sends the password in the clear."""
    schema_registry_url: str = Field(default="", pattern=URL_OR_NONE)
    """Of the schema registry, for flows in Avro, JSON Schema and Protobuf."""
    schema_registry_user: str = ""
    """Who asks it."""
    schema_registry_password: SecretStr = SecretStr("")
    """Password of that user."""
    schema_registry_ca_file: Path | None = None
    """PEM file of the registry's authority, where the system does not know it."""
    providers: dict[str, ProviderSettings] = Field(default_factory=dict)
    models: dict[str, ModelSettings] = Field(default_factory=dict)
    budgets: dict[str, BudgetSettings] = Field(default_factory=dict)
    flows: dict[FlowName, FlowSettings] = Field(default_factory=dict)
    mcp: dict[McpName, McpSettings] = Field(default_factory=dict)

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
        file = config_file(environment()) or CONFIG_FILE
        return (
            init_settings,
            env_settings,
            dotenv_settings,
            TomlConfigSettingsSource(settings_cls, toml_file=file),
        )

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        level = value.lower() if isinstance(value, str) else value
        return "warning" if level == "warn" else level

    @field_validator("broker")
    @classmethod
    def _broker_urls(cls, value: str) -> str:
        return ";".join(brokers_of(value))

    # Checks of one field against those before it, so that each is made whatever else is wrong.

    @field_validator("api_keys")
    @classmethod
    def _closed_to_the_public(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        host = info.data.get("web_host", "127.0.0.1")
        if host not in LOOPBACK and not keys_of(value) and not info.data.get("keys"):
            raise ValueError(f"web_host {host} is public: set {PREFIX}API_KEYS or [keys.NAME]")
        return value

    @field_validator("web_key_file")
    @classmethod
    def _both_or_none(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "web_cert_file" in info.data and (value is None) != (info.data["web_cert_file"] is None):
            raise ValueError(f"{PREFIX}WEB_CERT_FILE and {PREFIX}WEB_KEY_FILE: set both or none")
        return value

    @field_validator("kafka_oauth_token_url")
    @classmethod
    def _secret_over_tls(cls, value: str) -> str:
        if value and not is_private(value):
            raise ValueError("must be https://HOST/PATH: the client secret is sent there")
        return value

    @field_validator("kafka_allow_plaintext_sasl")
    @classmethod
    def _no_password_in_the_clear(cls, value: bool, info: ValidationInfo) -> bool:
        if info.data.get("kafka_security_protocol") == "SASL_PLAINTEXT" and not value:
            raise ValueError(
                "SASL without TLS sends the password in the clear: use SASL_SSL,"
                f" or set {PREFIX}KAFKA_ALLOW_PLAINTEXT_SASL=true"
            )
        return value

    @field_validator("models")
    @classmethod
    def _known_providers(
        cls, models: dict[str, ModelSettings], info: ValidationInfo
    ) -> dict[str, ModelSettings]:
        if (providers := info.data.get("providers")) is not None:
            refuse_unknown_targets(models, providers)
        return models

    @property
    def api_tokens(self) -> tuple[str, ...]:
        """The keys without a name, in order."""
        return keys_of(self.api_keys)

    @property
    def has_keys(self) -> bool:
        """Whether HTTP asks for keys."""
        return bool(self.api_tokens or self.keys)

    @property
    def peer_token(self) -> str | None:
        """What workers show one another: the first key that may read everything; or None."""
        named = (
            value.get_secret_value()
            for key in self.keys.values()
            if "read" in key.scopes and "infer" in key.scopes and key.tenant is None
            for value in key.key_values
        )
        return next(iter((*self.api_tokens, *named)), None)

    @property
    def brokers(self) -> list[str]:
        """``HOST:PORT`` of each broker, as Kafka clients want them."""
        return [url.removeprefix("kafka://") for url in self.broker.split(";")]

    @property
    def processor_modules(self) -> tuple[str, ...]:
        """Dotted names of the user's processor modules."""
        return listed(self.processors)

    @property
    def allowed_example_hosts(self) -> frozenset[str]:
        """Hosts, or ``HOST:PORT``, from which prompts may fetch examples."""
        return frozenset(h.strip().lower() for h in self.examples_hosts.split(",") if h.strip())

    def topic(self, name: str) -> str:
        """Return the full name of one of our topics, e.g. ``requests`` -> ``llm.requests``."""
        return f"{self.topic_prefix}.{name}"
