"""`streamapp check` of certificates and addresses beside Kafka's."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from streamapp.cli import main
from streamapp.cli.place_findings import places
from streamapp.cli.worker_findings import workers
from streamapp.settings import Settings
from tests.support.process import free_port

PAIR = "STREAMAPP_WEB_CERT_FILE and STREAMAPP_WEB_KEY_FILE: "


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two certificates with their keys, one of them behind a password, and a file that is none."""
    for name in ("one", "two"):
        certificate = trustme.CA().issue_cert("127.0.0.1")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        certificate.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    key = load_pem_private_key((tmp_path / "one.key").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"abcd"))
    (tmp_path / "locked.key").write_bytes(locked)
    (tmp_path / "words").write_text("no certificate")
    return tmp_path


def test_check_names_variables_that_dotenv_sets_in_vain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Others than the settings read them, and of the process alone."""
    names = ["OTEL_EXPORTER_OTLP_ENDPOINT", "HTTPS_PROXY", "no_proxy", "OTEL_SERVICE_NAME"]
    Path(".env").write_text("".join(f"{name}=http://h\n" for name in [*names, "OPENAI_API_KEY"]))
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")

    found = [one for one in asyncio.run(places(Settings())) if one.name == "environment"]

    assert [(one.ok, one.is_note, one.detail) for one in found] == [
        (
            True,
            True,
            f".env sets {', '.join(names[:3])} in vain: what counts is the environment itself;"
            " export .env, as honcho does",
        )
    ]


@pytest.mark.parametrize(
    ("cert", "key", "problem"),
    [
        ("none.pem", "one.key", "there is no file "),
        ("one.pem", "none.key", "there is no file "),
        ("words", "one.key", "cannot use "),
        ("one.pem", "words", "cannot use "),
        ("one.pem", "two.key", "cannot use "),
        ("one.pem", "locked.key", "cannot use "),
    ],
)
async def test_check_names_a_certificate_that_workers_would_refuse(
    folder: Path, cert: str, key: str, problem: str
) -> None:
    """Beside everything else; nobody is asked for a password, and no worker is at fault."""
    cert_file, key_file = folder / cert, folder / key
    settings = Settings(web_port=free_port(), web_cert_file=cert_file, web_key_file=key_file)

    found = [one for one in await places(settings) if one.name == "certificate"]

    assert [(one.ok, one.detail.startswith(PAIR + problem)) for one in found] == [(False, True)]
    if key == "locked.key":
        assert found[0].detail.endswith("a key with a password, which nobody is asked for")
    assert [one for one in await workers(settings) if one.is_note or not one.ok] == []


async def test_check_has_no_word_for_a_certificate_that_can_be_presented(folder: Path) -> None:
    """Nor where there is none."""
    for settings in (
        Settings(),
        Settings(web_cert_file=folder / "one.pem", web_key_file=folder / "one.key"),
    ):
        assert "certificate" not in {one.name for one in await places(settings)}


@pytest.mark.parametrize(
    ("name", "url", "problem"),
    [
        ("shop.example", "", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("shop.example", "https://shop.example:6066", None),
        ("127.0.0.1", "https://shop.example", "Hostname mismatch, certificate is not valid for"),
        ("127.0.0.1", "", None),
        ("late", "", "certificate has expired"),
    ],
)
async def test_check_notes_a_certificate_that_no_other_worker_trusts(
    tmp_path: Path, name: str, url: str, problem: str | None
) -> None:
    """It can be presented, and nobody would hear from its worker; its root need not be there."""
    ends = datetime(2020, 1, 1, tzinfo=UTC) if name == "late" else None
    names = ["127.0.0.1"] if name == "late" else [name]
    certificate = trustme.CA().issue_cert(*names, not_after=ends)
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "c.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "c.key")
    cert, key = tmp_path / "c.pem", tmp_path / "c.key"
    settings = Settings(web_url=url, web_cert_file=cert, web_key_file=key)

    found = [one for one in await places(settings) if one.is_note]

    assert [one.name for one in found] == (["certificate"] if problem else [])
    assert all(problem and problem in one.detail for one in found)


async def test_check_names_what_keeps_spans_from_being_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker would not start with it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "foo")

    found = [one.detail for one in await places(Settings()) if one.name == "traces"]

    assert found == ["OTEL_EXPORTER_OTLP_ENDPOINT: write an address, as http://HOST:4318"]


@pytest.mark.parametrize("address", ["http://[::1", "foo", "localhost:6066", "http://a:b"])
@pytest.mark.parametrize("variable", ["STREAMAPP_WEB_URL", "STREAMAPP_WORKER_URL", "--url"])
def test_what_is_no_address_is_refused_in_words(address: str, variable: str) -> None:
    """With what to write, by the variable or the option."""
    is_option = variable.startswith("-")
    words, environment = ([variable, address], {}) if is_option else ([], {variable: address})

    result = CliRunner().invoke(main, ["explain", "-", *words], env=environment, input="")

    assert result.exit_code == 2
    assert variable in result.stderr
    assert "write an address, as http://HOST:PORT" in result.stderr
