"""Problems of what stands in the file are named by their place there; secrets are refused."""

from pathlib import Path

import pytest

from streamapp.errors import ConfigurationError
from streamapp.settings.loading import load_settings

CANARY = "canary-7f3a"
PROVIDER = '[providers.a]\nkind = "offline"\n'


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
            PROVIDER + "timeout_s = 0\n",
            "streamapp.toml:3: [providers.a] timeout_s: Input should be greater than 0",
            id="value",
        ),
        pytest.param(
            '[providers."a b"]\n',
            'streamapp.toml:1: [providers."a b"] kind: Field required',
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
            f'cache_url = "redis://u:{CANARY}@host"\n',
            "streamapp.toml:1: cache_url: a secret does not belong into the file,"
            " which may be shared: set the variable STREAMAPP_CACHE_URL",
            id="address-with-a-password",
        ),
    ],
)
def test_secret_in_the_file_is_refused_with_the_mend(text: str, line: str) -> None:
    """Where files are versioned and shared, a key in one is a key that is lost."""
    assert line in problems(text)


def test_address_of_a_cache_without_a_password_may_stand_in_the_file() -> None:
    """It is no secret."""
    Path("streamapp.toml").write_text('cache_url = "redis://host"\n')

    assert load_settings().cache_url.get_secret_value() == "redis://host"
