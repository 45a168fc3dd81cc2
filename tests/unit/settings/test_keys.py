"""The table of HTTP keys: where values come from, and what is wrong with one."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from streamapp.cli import main
from streamapp.errors import ConfigurationError
from streamapp.settings import Settings
from streamapp.settings.keys import digest_of
from streamapp.settings.loading import load_settings


def loaded(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str, **values: str) -> Settings:
    monkeypatch.chdir(folder)
    (folder / "streamapp.toml").write_text(text)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_values_come_from_variables_and_digests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each variable, and each digest, is a value that opens."""
    digest = digest_of("third-key").hex()
    text = f'[keys.shop]\nkey_env = ["A", "B"]\nkey_sha256 = "{digest}"\nscopes = ["infer"]\n'

    settings = loaded(monkeypatch, tmp_path, text, A="first-key", B="second-key")

    values = ("third-key", "first-key", "second-key")
    assert settings.keys["shop"].digests == tuple(map(digest_of, values))
    assert "first-key" not in repr(settings)
    assert settings.has_keys
    assert settings.peer_token is None  # it may not read


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('key_env = "A"\nscopes = ["infer"]', "the environment variable A is not set"),
        ('key_env = "SHORT"\nscopes = ["infer"]', "shorter than 8 characters"),
        ('scopes = ["infer"]', "set key_env or key_sha256"),
        ('key_env = "GOOD"\nscopes = ["all"]', "[keys.shop] scopes: "),
        ('key_env = "GOOD"\nscopes = []', "[keys.shop] scopes: "),
        ('key_sha256 = "abc"\nscopes = ["read"]', "[keys.shop] key_sha256"),
        ('key_env = "GOOD"\nscopes = ["read"]\nmodels = ["no"]', "there is no model 'no'"),
        ('key_env = "GOOD"\nscopes = ["read"]\ntenant = "a:b"', "[keys.shop] tenant: "),
        (
            'key_env = "GOOD"\nscopes = ["read"]\n[keys.b]\nkey_env = "GOOD"\nscopes = ["read"]',
            "has the same key",
        ),
    ],
)
def test_wrong_key_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, problem: str
) -> None:
    """What is wrong ends the program before it starts, without a value."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(monkeypatch, tmp_path, f"[keys.shop]\n{text}", GOOD="CANARY-key", SHORT="CANARY")

    assert problem in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_public_host_may_have_named_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker that others reach asks for named keys alone, if that is all there is."""
    text = '[keys.shop]\nkey_env = "GOOD"\nscopes = ["infer", "read"]'

    settings = loaded(monkeypatch, tmp_path, text, GOOD="good-key", STREAMAPP_WEB_HOST="0.0.0.0")

    assert settings.peer_token == "good-key"


def test_hash_is_that_of_the_key() -> None:
    """The command prints what the file takes, of a key that it is sent."""
    result = CliRunner().invoke(main, ["keys", "hash"], input="first-key\n")

    assert result.stdout.strip() == digest_of("first-key").hex()
    assert CliRunner().invoke(main, ["keys", "hash"], input="short\n").exit_code == 2
    piped = CliRunner().invoke(main, ["keys", "hash"], input="\ufefffirst-key\r\n")
    assert piped.stdout == result.stdout


def test_new_key_is_shown_once() -> None:
    """A made key goes to stderr, its digest to stdout."""
    result = CliRunner().invoke(main, ["keys", "hash", "--new"])

    made = result.stderr.rpartition(" ")[2].strip()
    assert digest_of(made).hex() == result.stdout.strip()
