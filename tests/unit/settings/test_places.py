"""Problems of what stands in the file are named by their place there; secrets are refused."""

import json
import re
from pathlib import Path

import pytest

from streamapp.errors import ConfigurationError
from streamapp.settings import Settings
from streamapp.settings.environment import environment
from streamapp.settings.loading import known_log_format, load_settings
from streamapp.settings.places import FilePlaces
from streamapp.settings.problems import PATTERNS

CANARY = "canary-7f3a"
ROUTE = '[models.default]\ntargets = ["my-ai/m"]\n'
PROVIDER = '[providers.a]\nkind = "offline"\n'
MCP_LINE = (
    "streamapp.toml:2: [mcp.shop] command: a secret does not belong into the file, which may be"
    " shared: put it into a variable that the program gets and reads: env ="
    ' ["SHOP_TOKEN"]; where it takes an argument alone: command = ["sh", "-c", "exec PROGRAM'
    ' --token=$SHOP_TOKEN"]'
)


def problems(text: str) -> list[str]:
    """Return the lines that the settings of a file are refused with."""
    Path("streamapp.toml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(
            PROVIDER + "\n# a note\nrequests_per_minutes = 5\n",
            "streamapp.toml:5: [providers.a] requests_per_minutes: there is no such setting;"
            " did you mean requests_per_minute?",
            id="mistyped",
        ),
        pytest.param(
            PROVIDER + '[model.default]\ntargets = ["a/m"]\n',
            "streamapp.toml:3: model: it is a value, and no table: write model = VALUE; did you"
            " mean [models.default]?",
            id="table-of-a-value",
        ),
        pytest.param(
            "[partitions]\nrequests = 3\n",
            "streamapp.toml:1: partitions: it is a value, and no table: write partitions = VALUE",
            id="table-of-a-number",
        ),
        pytest.param(
            PROVIDER + "timeout_s = 0\n",
            "streamapp.toml:3: [providers.a] timeout_s: Input should be greater than 0",
            id="value",
        ),
        pytest.param(
            '[providers."a b"]\n',
            'streamapp.toml:1: [providers."a b"] kind: it is missing: add it',
            id="missing-key",
        ),
        pytest.param(
            PROVIDER + '[providers.a.models."m.1"]\ntimeout = 1\n',
            'streamapp.toml:4: [providers.a.models."m.1"] timeout: there is no such setting;'
            " did you mean timeout_s?",
            id="table-within",
        ),
        pytest.param(
            f"{PROVIDER}models = {{ m = {{ burst_s = -1 }} }}\n",
            "streamapp.toml:3: [providers.a.models.m] burst_s: Input should be greater than or"
            " equal to 0",
            id="table-in-a-line",
        ),
        pytest.param(
            'providers.a.kind = "none"\n',
            "streamapp.toml:1: [providers.a] kind: Input should be 'openai', 'azure-openai',"
            " 'anthropic', 'litellm' or 'offline'",
            id="dotted",
        ),
        pytest.param(
            'prompts_dir = """\nweb_port = 1\n"""\nweb_port = 0\n',
            "streamapp.toml:4: web_port: Input should be greater than or equal to 1",
            id="long-text",
        ),
        pytest.param(
            '[keys.shop]\nscopes = ["read"]\nkey_env = "SHOP_KEY"\n',
            "streamapp.toml:3: [keys.shop] key_env: the environment variable SHOP_KEY is not set",
            id="variable-that-is-not-set",
        ),
        pytest.param(
            f'{PROVIDER}[providers.a.models."m.1"]\nburst_s = 1\n',
            'streamapp.toml:3: [providers.a.models] "m.1" does nothing: no route has the target'
            " 'a/m.1'; name one of ['offline'], or remove it",
            id="table-that-does-nothing",
        ),
        pytest.param(
            '[providers.my-ai]\nkind = "openai"\n'
            f'extra_headers = {{ x-team = "sk-proj-{CANARY}" }}\n' + ROUTE,
            "streamapp.toml:3: [providers.my-ai.extra_headers] x-team: a secret does not belong"
            " into the file, which may be shared: put it into a variable and name that one:"
            ' headers_env = { "x-team" = "X_TEAM" }',
            id="header",
        ),
        pytest.param(
            '[providers.my-ai]\nkind = "openai"\n[providers.my-ai.extra_headers]\n'
            'x-team = "shop"\nX-Gateway-Token = "abc"\n' + ROUTE,
            "streamapp.toml:5: [providers.my-ai.extra_headers] X-Gateway-Token: a secret does not"
            " belong into the file, which may be shared: put it into a variable and name that one:"
            ' headers_env = { "X-Gateway-Token" = "X_GATEWAY_TOKEN" }',
            id="header-by-its-name",
        ),
        pytest.param(
            '[providers.my-ai]\nkind = "azure-openai"\n'
            f'extra_headers = {{ Api-Key = "{CANARY}" }}\n' + ROUTE,
            "streamapp.toml:3: [providers.my-ai.extra_headers] Api-Key: a secret does not belong"
            " into the file, which may be shared: put it into a variable and name that one:"
            ' api_key_env = "MY_AI_API_KEY"',
            id="header-of-the-key",
        ),
        pytest.param(
            f'[providers.my-ai]\nkind = "openai"\nextra_headers = {{ x-api-key = "{CANARY}" }}\n'
            + ROUTE,
            "streamapp.toml:3: [providers.my-ai.extra_headers] x-api-key: a secret does not belong"
            " into the file, which may be shared: put it into a variable and name that one:"
            ' headers_env = { "x-api-key" = "X_API_KEY" }',
            id="header-of-another-kind's-key",
        ),
        pytest.param(
            f'[keys.shop]\nscopes = ["read"]\nkey_sha256 = "{CANARY}"\n',
            "streamapp.toml:3: [keys.shop] key_sha256: it is no SHA-256 in 64 small hexadecimal"
            " digits: write what `streamapp keys hash` prints of a key (--new makes one)",
            id="digest",
        ),
        pytest.param(
            f'[keys.shop]\nscopes = ["read"]\nkey_sha256 = "{"a" * 64}"\ntenant = "a shop"\n',
            "streamapp.toml:4: [keys.shop] tenant: a tenant's name has letters, digits, '.', '_'"
            " and '-', at most 64",
            id="pattern",
        ),
    ],
)
def test_mistake_in_the_file_is_named_by_its_place(text: str, line: str) -> None:
    """Who wrote a file looks for its line, table and key, not for a variable."""
    assert problems(text) == [line]


def test_mistake_in_the_environment_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A variable wins over the file, so it is at fault where both hold a name."""
    monkeypatch.setenv("STREAMAPP_PARTITIONS", "0")

    assert problems("partitions = 3\n") == ["STREAMAPP_PARTITIONS: Input should be greater than 0"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(
            f'[providers.my-ai]\nkind = "openai"\napi_key = "{CANARY}"\n',
            "streamapp.toml:3: [providers.my-ai] api_key: a secret does not belong into the file,"
            " which may be shared: put it into a variable and name that one:"
            ' api_key_env = "MY_AI_API_KEY"',
            id="provider",
        ),
        pytest.param(
            f'[keys.shop]\nscopes = ["read"]\nkey_env = "K"\nkey_values = ["{CANARY}"]\n',
            "streamapp.toml:4: [keys.shop] key_values: a secret does not belong into the file,"
            " which may be shared: name the variable that holds it, key_env, or write its"
            " digest, key_sha256",
            id="key",
        ),
        pytest.param(
            f'kafka_sasl_password = "{CANARY}"\n',
            "streamapp.toml:1: kafka_sasl_password: a secret does not belong into the file,"
            " which may be shared: set the variable STREAMAPP_KAFKA_SASL_PASSWORD",
            id="password",
        ),
        pytest.param(
            f'[providers.my-ai]\nkind = "openai"\ntoken = "{CANARY}"\n',
            "streamapp.toml:3: [providers.my-ai] token: a secret does not belong into the file,"
            " which may be shared: put it into a variable and name that one:"
            ' api_key_env = "MY_AI_API_KEY"',
            id="provider-by-another-name",
        ),
        pytest.param(
            f'[keys.shop]\nscopes = ["read"]\nkey = "{CANARY}"\n',
            "streamapp.toml:3: [keys.shop] key: a secret does not belong into the file,"
            " which may be shared: name the variable that holds it, key_env, or write its"
            " digest, key_sha256",
            id="key-by-another-name",
        ),
        pytest.param(
            f'broker = "kafka://u:{CANARY}@host:9092"\n',
            "streamapp.toml:1: broker: a secret does not belong into the file,"
            " which may be shared: write kafka://HOST:PORT, and set STREAMAPP_KAFKA_SASL_USERNAME"
            " and STREAMAPP_KAFKA_SASL_PASSWORD",
            id="broker",
        ),
        pytest.param(
            f'cache_url = "redis://u:{CANARY}@host"\n',
            "streamapp.toml:1: cache_url: a secret does not belong into the file,"
            " which may be shared: set the variable STREAMAPP_CACHE_URL",
            id="address-with-a-password",
        ),
        pytest.param(
            f'[mcp.shop]\ncommand = ["serve", "--token={CANARY}"]\n',
            MCP_LINE,
            id="mcp-option",
        ),
        pytest.param(
            f'[mcp.shop]\ncommand = ["serve", "--token=true.{CANARY}"]\n',
            MCP_LINE,
            id="mcp-argument-with-a-dot",
        ),
        pytest.param(
            f'[mcp.shop]\ncommand = ["serve", "--shop-api-key", "{CANARY}"]\n',
            MCP_LINE,
            id="mcp-option-and-value",
        ),
        pytest.param(
            f'[mcp.shop]\ncommand = ["docker", "run", "-e", "SHOP_TOKEN={CANARY}", "shop"]\n',
            MCP_LINE,
            id="mcp-variable",
        ),
        pytest.param(
            f'[mcp.shop]\ncommand = ["sh", "-c", "exec serve --verbose sk-{CANARY}"]\n',
            MCP_LINE,
            id="mcp-key-of-a-known-shape",
        ),
        pytest.param(
            f'[mcp.shop]\nurl = "https://host/mcp?api_key={CANARY}"\n',
            "streamapp.toml:2: [mcp.shop] url: a secret does not belong into the file, which may"
            " be shared: put it into a variable and send it in a header:"
            ' headers_env = { authorization = "SHOP_TOKEN" }',
            id="mcp-address",
        ),
        pytest.param(
            f'[mcp.shop]\nurl = "https://u:{CANARY}@host/mcp"\n',
            "streamapp.toml:2: [mcp.shop] url: a secret does not belong into the file, which may"
            " be shared: put it into a variable and send it in a header:"
            ' headers_env = { authorization = "SHOP_TOKEN" }',
            id="mcp-address-with-a-password",
        ),
    ],
)
def test_secret_in_the_file_is_refused_with_the_mend(text: str, line: str) -> None:
    """Where files are versioned and shared, a key in one is a key that is lost."""
    assert problems(text).count(line) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--token=$SHOP_TOKEN"],
        ["sh", "-c", "exec serve --token=$SHOP_TOKEN"],
        ["--max-tokens=500", "--token-file", "/run/secrets/shop"],
        ["--max-token=500", "--use-token=true", "--credentials=shop.json"],
        ["--max-token", "500", "--use-token", "true", "--credentials", "shop.json"],
        ["--password", "/run/secrets/shop"],
        ["--api-key", "--verbose"],
        ["--secrets", "none", "@scope/server-with-a-token"],
    ],
    ids=" ".join,
)
def test_command_without_a_secret_is_taken(arguments: list[str]) -> None:
    """A variable, a file and a limit of tokens are no secrets."""
    Path("streamapp.toml").write_text(f"[mcp.shop]\ncommand = {['serve', *arguments]}\n")

    assert load_settings().mcp["shop"].command == ["serve", *arguments]


def test_every_pattern_of_a_setting_is_said_in_words() -> None:
    """A regular expression tells nobody what to write."""
    schema = json.dumps(Settings.model_json_schema())
    found = {
        json.loads(f'"{text}"') for text in re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', schema)
    }

    assert len(found) > 5
    assert found - PATTERNS.keys() == set()


def test_address_of_a_cache_without_a_password_may_stand_in_the_file() -> None:
    """It is no secret."""
    Path("streamapp.toml").write_text('cache_url = "redis://host"\n')

    assert load_settings().cache_url.get_secret_value() == "redis://host"


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        pytest.param('# """ is for long texts\n[a]\nx = 1', "a.x", 3, id="quotes-in-comment"),
        pytest.param("[a]\nw = \"'''\"\nx = 1", "a.x", 3, id="quotes-in-text"),
        pytest.param('[a]\nw = """\n[b]\nx = 2 \'\'\'\n"""\nx = 1', "a.x", 6, id="long-text"),
        pytest.param('[a]\nw = """\\"""\nx = 2"""""\nx = 1', "a.x", 4, id="escaped-quotes"),
        pytest.param('[a]\nw = """"""\nx = 1', "a.x", 3, id="empty-long-text"),
        pytest.param('[a]\nw = [\n  ["b"]\n]\nx = 1', "a.x", 5, id="array-in-array"),
        pytest.param('[a]\nw = "\u2028"\nx = 1', "a.x", 3, id="line-separator-in-text"),
        pytest.param('[a]\n"q\\"x" = 1', 'a.q"x', 2, id="escaped-quote-in-key"),
        pytest.param("[a]\nw = 1\n[[a.b]]\nx = 1", "a.b", 3, id="array-of-tables"),
        pytest.param("[a]\nw = 1\n[[a.b]]\nx = 1", "a.x", 1, id="key-of-another-table"),
    ],
)
def test_line_is_that_of_the_key(text: str, path: str, line: int) -> None:
    """Neither texts, comments and arrays nor arrays of tables are taken for tables and keys."""
    place = FilePlaces("streamapp.toml", text).place(path.split("."))

    assert place is not None
    assert place.startswith(f"streamapp.toml:{line}: ")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            b"[models.a]\ntargets = ['\xff']\n",
            "streamapp.toml:2: not valid UTF-8: save it in that encoding",
        ),
        (
            b"\xef\xbb\xbf[models.a]\n",
            "streamapp.toml: it begins with a byte order mark: save it as UTF-8 without one",
        ),
    ],
)
def test_file_in_another_encoding_is_refused_with_what_to_do(content: bytes, line: str) -> None:
    """As editors on Windows may save it."""
    Path("streamapp.toml").write_bytes(content)

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("content", "line"), [(b"A=1\nB=caf\xe9\n", 2), (b"\xff\xfeA\0=\0", 1)], ids=["latin", "16"]
)
def test_env_in_another_encoding_is_refused_with_what_to_do(content: bytes, line: int) -> None:
    """As the file beside it is, and not with a traceback."""
    Path(".env").write_bytes(content)

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert str(caught.value) == f".env:{line}: not valid UTF-8: save it in that encoding"


def test_each_wrong_target_is_named_where_it_stands() -> None:
    """Not at the first of all routes."""
    Path("streamapp.toml").write_text(
        '[providers.p]\nkind = "offline"\n[models.default]\ntargets = ["p/m"]\n'
        '[models.two]\ntargets = ["q/m"]\n[models."v3.1"]\ntargets = ["p/m", "r/m", "s"]\n'
    )

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    mend = "write PROVIDER/MODEL with one of the providers: p"
    assert str(caught.value).splitlines() == [
        f"streamapp.toml:6: [models.two] targets: target 'q/m': {mend}",
        f"streamapp.toml:8: [models.\"v3.1\"] targets: target 'r/m': {mend}",
        f"streamapp.toml:8: [models.\"v3.1\"] targets: target 's': {mend}",
    ]


def test_name_in_a_table_within_a_table_is_guessed() -> None:
    """As any other one is."""
    Path("streamapp.toml").write_text(
        '[providers.p]\nkind = "offline"\n[providers.p.models.m]\nprice = { inptu = 1.0 }\n'
    )

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert str(caught.value) == (
        "streamapp.toml:4: [providers.p.models.m.price] inptu: there is no such setting;"
        " did you mean input?"
    )


@pytest.mark.parametrize("value", ["", "other"])
def test_empty_variable_leaves_that_of_env(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """As ``${NAME:-}`` in a compose file gives it, for a key as for a setting."""
    Path(".env").write_text("MY_KEY=secret\nSTREAMAPP_LOG_FORMAT=json\n")
    monkeypatch.setenv("MY_KEY", value)
    monkeypatch.setenv("STREAMAPP_LOG_FORMAT", "")

    assert environment()["MY_KEY"] == (value or "secret")
    assert known_log_format() == "json"


def test_quote_without_its_end_is_named_as_such() -> None:
    """It is a variable, but for that."""
    Path(".env").write_text('A=1\nSTREAMAPP_MODEL="m\n')

    with pytest.raises(ConfigurationError, match=r"^\.env:2: no value can be read: is there a quo"):
        load_settings()


def test_line_of_env_that_is_no_variable_is_refused() -> None:
    """It may be a misspelt secret, and would be passed over; comments and empty values may stay."""
    Path(".env").write_text(
        "# one\nEMPTY=\nexport A='b c'\nSTREAMAPP_API_TOKENS: abc\nB\n\nx y\nstreamapp_model\n"
    )

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert str(caught.value).splitlines() == [
        ".env:4: it is no variable: write NAME=VALUE",
        ".env:7: it is no variable: write NAME=VALUE",
        ".env:8: it is no variable: write NAME=VALUE",
    ]
