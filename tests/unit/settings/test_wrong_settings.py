"""A wrong setting is named, and what stands in it is not: it may be a secret."""

from pathlib import Path

import pytest

from streamapp.bootstrap import create_app
from streamapp.errors import ConfigurationError
from streamapp.settings.loading import load_settings

CANARY = "canary-7f3a"
SASL = {"STREAMAPP_KAFKA_SASL_USERNAME": "u", "STREAMAPP_KAFKA_SASL_PASSWORD": CANARY}
OPENAI = {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "STREAMAPP_MODEL": "m"}

WRONG: dict[str, dict[str, str]] = {
    "password in the clear": {"STREAMAPP_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", **SASL},
    "no such mechanism": {"STREAMAPP_KAFKA_SASL_MECHANISM": CANARY, **SASL},
    "broker with a password": {"STREAMAPP_BROKER": f"http://user:{CANARY}@host"},
    "one certificate of two": {
        "STREAMAPP_API_KEYS": CANARY,
        "STREAMAPP_WEB_CERT_FILE": "/none",
    },
    "port": {"STREAMAPP_WEB_PORT": CANARY},
    "level": {"STREAMAPP_LOG_LEVEL": CANARY},
    "key that no header can carry": {**OPENAI, "OPENAI_API_KEY": f"{CANARY}\u00e9"},
    "address with a password": {
        **OPENAI,
        "OPENAI_API_KEY": CANARY,
        "OPENAI_BASE_URL": f"https://user:{CANARY}@host/v1",
    },
    "schema registry with two passwords": {
        "STREAMAPP_SCHEMA_REGISTRY_URL": f"https://user:{CANARY}@[host",
        "STREAMAPP_SCHEMA_REGISTRY_USER": "u",
        "STREAMAPP_SCHEMA_REGISTRY_PASSWORD": CANARY,
    },
    "tokens with a password": {
        **SASL,
        "STREAMAPP_KAFKA_OAUTH_TOKEN_URL": f"https://user:{CANARY}@host/token",
    },
    "key for its variable": {
        "STREAMAPP_PROVIDERS": f'{{"p": {{"kind": "openai", "api_key_env": "{CANARY}"}}}}',
        "STREAMAPP_MODEL": "m",
    },
    "cache": {"STREAMAPP_CACHE_URL": f"rediss//:{CANARY}@host"},
    "collector": {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={CANARY}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    },
}
FILES = {
    "key in the file": f'[providers.p]\nkind = "openai"\napi_key = "{CANARY}"\nkey = "{CANARY}"\n',
    "no TOML": f'[providers.p]\napi_key = "{CANARY}\n',
    "key for its variable": f'[providers.p]\nkind = "openai"\napi_key_env = "{CANARY}"\n',
    "key for a caller's variable": f'[keys.k]\nscopes = ["infer"]\nkey_env = "{CANARY}"\n',
    "one of two": f'[keys.k]\nscopes = ["infer"]\nkey_env = ["K", "{CANARY}"]\n',
    "key for a program's variable": f'[mcp.m]\ncommand = ["true"]\nenv = ["{CANARY}"]\n',
    "key for a header's variable": (
        f'[mcp.m]\nurl = "https://h/mcp"\nheaders_env = {{ authorization = "{CANARY}" }}\n'
    ),
    "schema registry with a password": f'schema_registry_url = "https://u:{CANARY}@h"\n',
    "tokens with a password": f'kafka_oauth_token_url = "https://u:{CANARY}@h"\n',
    "list for a name": f'[providers.p]\nkind = "openai"\napi_key_env = ["{CANARY}"]\n',
}


@pytest.mark.parametrize("variables", WRONG.values(), ids=WRONG)
def test_a_wrong_variable_is_not_quoted(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start is refused with a line that says what to change."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as caught:
        create_app(load_settings())

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("text", [text for name, text in FILES.items() if "variable" in name])
def test_a_key_in_place_of_a_name_is_refused_to_every_command(text: str) -> None:
    """Also to those that need no key; the line says that the NAME of a variable belongs there."""
    Path("streamapp.toml").write_text(text)

    with pytest.raises(ConfigurationError, match=r"looks like a key.* the NAME of that variable"):
        load_settings(may_lack_secrets=True)


@pytest.mark.parametrize(
    ("table", "place", "variable"),
    [
        (
            '[providers.my-gw]\nkind = "openai"\napi_key_env = {}',
            "[providers.my-gw] api_key_env",
            "MY_GW_API_KEY",
        ),
        (
            '[providers.p]\nkind = "openai"\nheaders_env = {{ x-team = "X", X-Gw = {} }}',
            "[providers.p.headers_env] X-Gw",
            "X_GW",
        ),
        (
            '[mcp.m]\nurl = "https://h/"\nheaders_env = {{ authorization = {} }}',
            "[mcp.m.headers_env] authorization",
            "AUTHORIZATION",
        ),
        ('[mcp.m]\ncommand = ["true"]\nenv = [{}]', "[mcp.m] env", "M_TOKEN"),
        ('[keys.shop]\nscopes = ["infer"]\nkey_env = {}', "[keys.shop] key_env", "SHOP_KEY"),
    ],
    ids=["provider", "header", "header of MCP", "program", "caller"],
)
@pytest.mark.parametrize("rest", ["", "[mcp.n]\n"], ids=["alone", "among others"])
def test_a_key_in_place_of_a_name_is_told_with_its_place_and_a_name_that_would_do(
    table: str, place: str, variable: str, rest: str
) -> None:
    """The header is named, and the variable is not one of another vendor."""
    key = f'"{CANARY}"'
    Path("streamapp.toml").write_text(f"{table.format(key)}\n{rest}")

    with pytest.raises(ConfigurationError) as caught:
        load_settings(may_lack_secrets=True)

    [line] = [line for line in str(caught.value).split("\n") if "looks like a key" in line]
    assert f"{place}: what stands there" in line
    assert f"as export {variable}=..., and" in line


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_a_wrong_file_is_not_quoted(text: str) -> None:
    """The same for the file, which holds the names of secrets at most."""
    Path("streamapp.toml").write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        create_app(load_settings())

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "mend"),
    [
        (
            "[flows.label.fields]\ntext = 'x'\n",
            "[flows] label: input, type and output are missing: add them; did you mean"
            " [flows.labels]?",
        ),
        (
            "[flows.other.fields]\ntext = 'x'\n",
            "[flows] other: input, type and output are missing: add them",
        ),
        (
            "[flows.others]\ninput = 'c'\ntype = 'classify'\n",
            "[flows.others] output: it is missing: add it",
        ),
    ],
    ids=["like another", "like none", "one"],
)
def test_what_a_table_lacks_is_one_line_with_the_table_that_may_be_meant(
    table: str, mend: str
) -> None:
    """A slip in the name of a table makes another one, which lacks everything."""
    labels = "[flows.labels]\ninput = 'a'\noutput = 'b'\ntype = 'classify'\n"
    Path("streamapp.toml").write_text(labels + table)

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert str(caught.value) == f"streamapp.toml:5: {mend}"


@pytest.mark.parametrize("may_lack", [True, False])
def test_keys_that_are_not_set_are_told_beside_what_else_is_wrong(may_lack: bool) -> None:
    """All at once: nobody mends one mistake to be told of the next."""
    Path("streamapp.toml").write_text(
        '[providers.p]\nkind = "openai"\napi_key_env = "NO_SUCH"\n'
        '[models.default]\ntargets = ["q/x"]\n'
        '[keys.k]\nscopes = ["read"]\nkey_env = ["NO_KEY", "sk-abcdefgh"]\n'
        "[mcp]\nm = 3\n"
    )

    with pytest.raises(ConfigurationError) as caught:
        load_settings(may_lack_secrets=may_lack)

    text = str(caught.value)
    assert "target 'q/x'" in text
    assert "[keys.k] key_env: what stands there looks like a key" in text
    assert ("[providers.p] api_key_env: the environment variable NO_SUCH" in text) != may_lack
    assert ("[keys.k] key_env: the environment variable NO_KEY" in text) != may_lack
    assert "sk-abcdefgh" not in text


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        pytest.param('API_KEYS = "{0}"\n', 1, "API_KEYS", id="a secret"),
        pytest.param("max_in_flight = 8\nMax_In_Flight = 9\n", 2, "Max_In_Flight", id="beside it"),
    ],
)
def test_a_setting_of_the_file_is_in_small_letters(text: str, line: int, name: str) -> None:
    """In capitals, a secret would pass the look for secrets, and of two values one would win."""
    Path("streamapp.toml").write_text(text.format(CANARY))

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    mend = f"streamapp.toml:{line}: {name}: write {name.lower()}, in small letters"
    assert mend in str(caught.value).splitlines()
    assert CANARY not in str(caught.value)
