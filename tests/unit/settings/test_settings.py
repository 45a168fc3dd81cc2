"""Settings: where they come from, and what is said when they are wrong."""

from pathlib import Path

import pytest

from streamapp.errors import ConfigurationError
from streamapp.settings.loading import known_log_format, load_settings
from streamapp.telemetry.logging import known_secrets

CANARY = "sk-settings-canary"
Env = pytest.MonkeyPatch


def problems() -> list[str]:
    """Load the settings; return the lines of what is wrong."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return str(caught.value).splitlines()


def test_without_any_setting_the_offline_provider_answers() -> None:
    """Nothing needs to be set."""
    settings = load_settings()

    assert settings.providers["offline"].kind == "offline"
    assert settings.models["default"].targets == ["offline/offline"]


def test_environment_wins_over_dotenv_and_dotenv_over_the_file(monkeypatch: Env) -> None:
    """The three sources, in the order of the contract."""
    Path("streamapp.toml").write_text("partitions = 1\nmax_in_flight = 1\ndrain_s = 1\n")
    Path(".env").write_text("STREAMAPP_PARTITIONS=2\nSTREAMAPP_MAX_IN_FLIGHT=2\n")
    monkeypatch.setenv("STREAMAPP_PARTITIONS", "3")

    settings = load_settings()

    assert (settings.partitions, settings.max_in_flight, settings.drain_s) == (3, 2, 1)


@pytest.mark.parametrize("name", ["STREAMAPP_CONFIG", "streamapp_config"])
@pytest.mark.parametrize(
    ("process", "dotenv", "partitions"),
    [
        (None, "one.toml", 1),
        ("two.toml", "one.toml", 2),
        ("", "one.toml", 1),
        ("two.toml", "", 2),
        ("", "", 3),
    ],
)
def test_file_is_the_one_that_the_environment_or_dotenv_names(
    process: str | None, dotenv: str, partitions: int, name: str, monkeypatch: Env
) -> None:
    """By the order and the names of every other variable."""
    for number, file in enumerate(("one.toml", "two.toml", "streamapp.toml"), start=1):
        Path(file).write_text(f"partitions = {number}\nlog_format = 'json'\n")
    Path("streamapp.toml").write_text("partitions = 3\n")
    Path(".env").write_text(f"{name}={dotenv}\n")
    if process is not None:
        monkeypatch.setenv("STREAMAPP_CONFIG", process)

    assert load_settings().partitions == partitions
    assert known_log_format() == ("console" if partitions == 3 else "json")


@pytest.mark.parametrize("source", ["environment", "dotenv"])
def test_file_that_is_not_there_is_named(source: str, monkeypatch: Env) -> None:
    """Nobody goes on without what was to be in it."""
    if source == "environment":
        monkeypatch.setenv("STREAMAPP_CONFIG", "none.toml")
    else:
        Path(".env").write_text("STREAMAPP_CONFIG=none.toml\n")

    place = ".env:1: " if source == "dotenv" else ""
    assert problems() == [f"{place}STREAMAPP_CONFIG: there is no file 'none.toml'"]


def test_file_that_names_another_in_its_place_is_refused() -> None:
    """That one would be read by nobody, and named by `check`."""
    Path("other.toml").write_text("partitions = 1\n")
    Path("streamapp.toml").write_text("partitions = 3\nconfig = 'other.toml'\n")

    assert problems() == [
        "streamapp.toml:2: config: write STREAMAPP_CONFIG into the environment or .env"
    ]


@pytest.mark.parametrize("source", ["environment", "dotenv"])
def test_variable_that_is_empty_counts_as_none(monkeypatch: Env, source: str) -> None:
    """As ``${NAME:-}`` in a compose file gives it; an empty path would be this very folder."""
    Path("streamapp.toml").write_text(
        "max_in_flight = 7\nmodel = 'm'\n[providers.p]\nkind = 'openai'\nbase_url = 'http://h'\n"
    )
    names = [
        *("CONFIG", "MAX_IN_FLIGHT", "PROMPTS_DIR", "KAFKA_CA_FILE", "WEB_CERT_FILE"),
        *("LOG_FORMAT", "KAFKA_ALLOW_PLAINTEXT_SASL", "PROVIDERS__P__BASE_URL"),
    ]
    if source == "environment":
        for name in names:
            monkeypatch.setenv(f"STREAMAPP_{name}", "")
    else:
        Path(".env").write_text("".join(f"STREAMAPP_{name}=\n" for name in names))

    settings = load_settings()

    assert (settings.max_in_flight, settings.prompts_dir) == (7, Path("prompts"))
    assert settings.kafka_ca_file is settings.web_cert_file is None
    assert settings.providers["p"].base_url == "http://h"


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("SESSION_TIMEOUT_S", "181", "less than or equal to 180"),
        ("LEDGER_TTL_S", "inf", "a finite number"),
        ("CACHE_MAX_MB", "nan", "a finite number"),
        ("PROVIDERS__P__TIMEOUT_S", "inf", "a finite number"),
        ("BUDGETS__B__LIMIT_USD", "inf", "a finite number"),
    ],
)
def test_number_that_no_worker_starts_with_is_refused(
    monkeypatch: Env, name: str, value: str, wrong: str
) -> None:
    """By the command that checks, too, and by its name."""
    monkeypatch.setenv("STREAMAPP_PROVIDERS__P__KIND", "openai")
    monkeypatch.setenv(f"STREAMAPP_{name}", value)

    [problem] = [line for line in problems() if name in line.upper().replace(".", "__")]

    assert wrong in problem


@pytest.mark.parametrize(
    "name",
    [
        "STREAMAPP_KEYS",
        "STREAMAPP_KEYS__SHOP__KEY_ENV",
        "STREAMAPP_MODELS__DEFAULT__TARGETS",
        "streamapp_providers__openai__models",
    ],
)
@pytest.mark.parametrize("source", ["environment", "dotenv"])
def test_variable_of_a_list_or_table_that_is_no_json_is_named(
    monkeypatch: Env, name: str, source: str
) -> None:
    """A line says what to write, as for any wrong value; its text may be a secret."""
    if source == "environment":
        monkeypatch.setenv(name, CANARY)
    else:
        Path(".env").write_text(f"{name}={CANARY}\n")
    monkeypatch.setenv("STREAMAPP_BROKR", "kafka://localhost:1")
    monkeypatch.setenv("STREAMAPP_MODEL", CANARY)

    unknown, wrong = problems()

    assert unknown.startswith("STREAMAPP_BROKR")
    place = ".env:1: " if source == "dotenv" else ""
    told = f"{place}{name}: no valid JSON, which a list or a table in a variable is"
    assert wrong.startswith(told)
    assert CANARY not in wrong


def test_every_wrong_setting_is_named_at_once(monkeypatch: Env) -> None:
    """A line for each, of every source, also where one depends on another; never a value."""
    Path("streamapp.toml").write_text(
        '[providers.own]\nkind = "openai"\nburst = 1\n[models.default]\ntargets = ["x/m"]\n'
    )
    monkeypatch.setenv("STREAMAPP_MAX_IN_FLIGHT", CANARY)
    monkeypatch.setenv("STREAMAPP_ORDERING", "random")
    monkeypatch.setenv("STREAMAPP_WEB_HOST", "0.0.0.0")
    monkeypatch.setenv("STREAMAPP_WEB_CERT_FILE", "cert.pem")
    monkeypatch.setenv("STREAMAPP_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("STREAMAPP_BROKR", "kafka://localhost:1")

    found = problems()

    assert [line.split(":")[0] for line in found] == [
        "STREAMAPP_BROKR",
        "STREAMAPP_MAX_IN_FLIGHT",
        "STREAMAPP_ORDERING",
        "STREAMAPP_WEB_KEY_FILE",
        "STREAMAPP_API_KEYS",
        "STREAMAPP_KAFKA_ALLOW_PLAINTEXT_SASL",
        "streamapp.toml",
    ]
    assert CANARY not in "".join(found)


@pytest.mark.parametrize(
    "broker", ["kafka://a:9092;kafka://b:9092", "kafka://[::1]:9", "kafka://a"]
)
def test_brokers_are_taken_as_they_are_written(monkeypatch: Env, broker: str) -> None:
    """One or several, by name or address, with a port or Kafka's own."""
    monkeypatch.setenv("STREAMAPP_BROKER", broker)

    assert load_settings().broker == broker


@pytest.mark.parametrize(
    "broker",
    [
        "kafka://",
        "kafka://:9092",
        "kafka://a:http",
        "kafka://a:99999",
        "kafka://a:9092,b:9092",
        "kafka://a:9092/b",
        "kafka://a:9092;http://b:9092",
    ],
)
def test_broker_without_host_or_port_is_refused(monkeypatch: Env, broker: str) -> None:
    """What no client could connect to is found before anything starts."""
    monkeypatch.setenv("STREAMAPP_BROKER", broker)

    assert problems()[0].startswith("STREAMAPP_BROKER: must be kafka://HOST:PORT")


@pytest.mark.parametrize("user", ["shop", "shop:pw12345"])
def test_broker_with_a_user_is_told_where_that_belongs(monkeypatch: Env, user: str) -> None:
    """No client would use it, and the password stood in what commands and the log say of it."""
    monkeypatch.setenv("STREAMAPP_BROKER", f"kafka://a:9092;kafka://{user}@b:9092")

    [problem] = problems()

    assert problem.startswith("STREAMAPP_BROKER: holds a user")
    assert "STREAMAPP_KAFKA_SASL_USERNAME" in problem
    assert "pw12345" not in problem


def test_topic_prefix_that_ends_with_a_dot_is_refused(monkeypatch: Env) -> None:
    """It would name topics ``wk..requests``; one within it is fine."""
    monkeypatch.setenv("STREAMAPP_TOPIC_PREFIX", "shop.wk.")

    assert problems() == ["STREAMAPP_TOPIC_PREFIX: leave out the dot at its end: topics get one"]
    monkeypatch.setenv("STREAMAPP_TOPIC_PREFIX", "shop.wk")
    assert load_settings().topic("requests") == "shop.wk.requests"


def test_keys_may_be_missing_where_nobody_needs_them(monkeypatch: Env) -> None:
    """Who sends records from a worker's folder need not hold what the worker holds."""
    Path("streamapp.toml").write_text(
        '[providers.a]\nkind = "openai"\napi_key_env = "A_KEY"\n'
        '[models.default]\ntargets = ["a/m"]\n'
        '[keys.shop]\nkey_env = "SHOP_KEY"\nscopes = ["infer"]\n'
        '[mcp.docs]\nurl = "https://docs.example/mcp"\nallow = ["*"]\n'
        'headers_env = { Authorization = "DOCS_TOKEN" }\n'
    )

    assert len(problems()) == 3
    assert load_settings(may_lack_secrets=True).models["default"].targets == ["a/m"]
    monkeypatch.setenv("SHOP_KEY", "short")
    with pytest.raises(ConfigurationError, match="SHOP_KEY is shorter"):
        load_settings(may_lack_secrets=True)


def test_headers_of_a_provider_come_from_variables(monkeypatch: Env) -> None:
    """They are sent beside those of the file, and one that is not set is named."""
    Path("streamapp.toml").write_text(
        '[providers.a]\nkind = "openai"\napi_key_env = "A_KEY"\n'
        'extra_headers = { x-team = "shop" }\n'
        'headers_env = { x-gateway-token = "GATEWAY_TOKEN" }\n'
        '[models.default]\ntargets = ["a/m"]\n'
    )
    monkeypatch.setenv("A_KEY", "key")

    [line] = problems()
    place = "[providers.a.headers_env] x-gateway-token"
    assert line.endswith(f"{place}: the environment variable GATEWAY_TOKEN is not set")
    monkeypatch.setenv("GATEWAY_TOKEN", "token-1")
    settings = load_settings()
    assert settings.providers["a"].extra_headers == {"x-team": "shop", "x-gateway-token": "token-1"}
    assert "token-1" in known_secrets(settings)


def test_every_missing_key_is_named(monkeypatch: Env) -> None:
    """Each provider's variable that is not set has a line, and so has the missing route."""
    Path("streamapp.toml").write_text(
        "".join(
            f'[providers.{name}]\nkind = "openai"\napi_key_env = "{name.upper()}_KEY"\n'
            for name in "ab"
        )
    )

    found = problems()

    assert [word for line in found for word in ("A_KEY", "B_KEY", "default") if word in line] == [
        "default",
        "A_KEY",
        "B_KEY",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("STREAMAPP_PARTITION", "STREAMAPP_PARTITIONS"),
        ("STREAMAPP_MAX_INFLIGHT", "STREAMAPP_MAX_IN_FLIGHT"),
        ("streamapp_brocker", "STREAMAPP_BROKER"),
        ("STREAMAPP_PROVIDER__A__KIND", "STREAMAPP_PROVIDERS"),
        ("STREAMAPP_PROVIDERS__A__API_KEY_ENVS", "STREAMAPP_PROVIDERS__A__API_KEY_ENV"),
        ("STREAMAPP_BROKER__URL", "STREAMAPP_BROKER"),
    ],
)
@pytest.mark.parametrize("source", ["environment", "dotenv"])
def test_mistyped_variable_is_named_with_the_one_that_is_meant(
    name: str, meant: str, source: str, monkeypatch: Env
) -> None:
    """A variable that would set nothing is a mistake, not a default."""
    monkeypatch.setenv("STREAMAPP_PROVIDERS__A__KIND", "offline")
    if source == "environment":
        monkeypatch.setenv(name, "1")
    else:
        Path(".env").write_text(f"{name}=1\n")

    [line] = problems()

    place = ".env:1: " if source == "dotenv" else ""
    assert line == f"{place}{name}: there is no such setting; did you mean {meant}?"


def test_wrong_value_of_env_is_named_with_its_line(monkeypatch: Env) -> None:
    """Whoever forgot the file looks for it in the environment, whose own variables win."""
    Path(".env").write_text(
        "# old\nSTREAMAPP_DEADLINE_S=x\nSTREAMAPP_DEADLINE_S=y\nSTREAMAPP_PARTITIONS=z\n"
    )
    monkeypatch.setenv("STREAMAPP_PARTITIONS", "z")

    deadline, partitions = sorted(problems())

    assert deadline.startswith(".env:3: STREAMAPP_DEADLINE_S: ")
    assert partitions.startswith("STREAMAPP_PARTITIONS: ")


def test_mistyped_name_in_the_file_is_named(monkeypatch: Env) -> None:
    """The file's names are looked at as the environment's."""
    Path("streamapp.toml").write_text("partition = 3\nzzz = 1\n")

    assert problems() == [
        "streamapp.toml:1: partition: there is no such setting; did you mean partitions?",
        "streamapp.toml:2: zzz: there is no such setting",
    ]


@pytest.mark.parametrize("table", ["tools", "tool", "mcp_servers", "mcpServers"])
def test_table_of_an_mcp_server_is_named_where_another_is_written(table: str) -> None:
    """The first one is a setting of ours, and no table; the others are names of other programs."""
    Path("streamapp.toml").write_text(f'[{table}.shop]\nurl = "http://127.0.0.1:1/mcp"\n')

    assert problems() == [
        f"streamapp.toml:1: {table}: an MCP server is a table [mcp.NAME]; modules with tools of"
        ' your own are named by tools = "MODULE"'
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STREAMAPP_SERVICE_HOST", "10.0.0.1"),
        ("STREAMAPP_SERVICE_PORT", "6066"),
        ("STREAMAPP_SERVICE_PORT_HTTP", "6066"),
        ("STREAMAPP_PORT", "tcp://10.0.0.1:6066"),
        ("STREAMAPP_PORT_6066_TCP", "tcp://10.0.0.1:6066"),
        ("STREAMAPP_PORT_6066_TCP_ADDR", "10.0.0.1"),
        ("STREAMAPP_WORKER_SERVICE_HOST", "10.0.0.1"),
        ("STREAMAPP_WORKER_PORT_6066_TCP_PROTO", "tcp"),
        ("STREAMAPP_WORKER_PORT", "tcp://10.0.0.1:6066"),
    ],
)
def test_variables_of_kubernetes_are_no_settings(name: str, value: str, monkeypatch: Env) -> None:
    """A Service named as we are puts variables with our prefix beside every pod."""
    monkeypatch.setenv(name, value)

    load_settings()


def test_keys_may_stand_in_dotenv() -> None:
    """The file is an environment: it holds OPENAI_* and any named key, and others' variables."""
    Path(".env").write_text(
        f"OPENAI_API_KEY={CANARY}\nSTREAMAPP_MODEL=m\nPOSTGRES_PASSWORD=x\nAWS_REGION=y\n"
    )

    provider = load_settings().providers["openai"]

    assert provider.api_key is not None
    assert provider.api_key.get_secret_value() == CANARY


def test_key_of_the_environment_wins_over_dotenv(monkeypatch: Env) -> None:
    """As for every other variable."""
    Path(".env").write_text("OPENAI_API_KEY=other\nSTREAMAPP_MODEL=m\n")
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)

    provider = load_settings().providers["openai"]

    assert provider.api_key is not None
    assert provider.api_key.get_secret_value() == CANARY


def test_openai_without_a_model_says_what_to_set(monkeypatch: Env) -> None:
    """With a key or an address alone, the model is asked for, and nothing else."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)

    [line] = problems()

    assert "STREAMAPP_MODEL must name the model" in line
    assert CANARY not in line


def test_secrets_are_never_shown(monkeypatch: Env) -> None:
    """Neither keys nor passwords nor the cache's address are in what settings look like."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("STREAMAPP_MODEL", "m")
    monkeypatch.setenv("STREAMAPP_API_KEYS", CANARY)
    monkeypatch.setenv("STREAMAPP_CACHE_URL", f"redis://:{CANARY}@localhost")
    monkeypatch.setenv("STREAMAPP_KAFKA_SASL_PASSWORD", CANARY)

    settings = load_settings()

    assert CANARY not in repr(settings) + str(settings) + settings.model_dump_json()


def test_web_port_is_a_port(monkeypatch: Env) -> None:
    """There is no port 0: a worker's address must be known to the others."""
    monkeypatch.setenv("STREAMAPP_WEB_PORT", "0")

    [line] = problems()

    assert line.startswith("STREAMAPP_WEB_PORT: ")


def test_level_may_be_written_as_faust_does(monkeypatch: Env) -> None:
    """It is that of `streamapp worker -l`, too."""
    monkeypatch.setenv("STREAMAPP_LOG_LEVEL", "WARN")

    assert load_settings().log_level == "warning"
