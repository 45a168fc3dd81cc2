"""`streamapp worker` before it starts."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamapp.cli import main
from streamapp.cli.worker import app_of
from streamapp.errors import ConfigurationError
from streamapp.settings.loading import load_settings


@pytest.mark.parametrize(
    "arguments",
    [["-p", "abc"], ["--web-port", "0"], ["--web-port=65536"], ["-p", "1" * 5000]],
    ids=["word", "zero", "too large", "far too large"],
)
def test_what_is_no_port_is_refused_in_words(arguments: list[str]) -> None:
    """With what to write, before anything starts."""
    result = CliRunner().invoke(main, ["worker", *arguments])

    assert result.exit_code == 2
    assert "is no port: write a number from 1 to 65535" in result.stderr


@pytest.mark.parametrize(
    "level", [["-l", "warning"], ["--loglevel", "WARNING"], ["--loglevel=warning"], ["-lwarning"]]
)
def test_level_has_the_names_of_the_settings(level: list[str]) -> None:
    """Faust knows `warn` alone; the port behind it is refused, as nothing is to start."""
    result = CliRunner().invoke(main, ["worker", *level, "--web-host"])

    assert result.exit_code == 2
    assert "Option '--web-host' requires an argument" in result.stderr


@pytest.mark.parametrize("in_file", [True, False], ids=["file", "variable"])
@pytest.mark.parametrize(
    ("variable", "value"),
    [("STREAMAPP_MAX_IN_FLIGHT", "many"), ("STREAMAPP_PROMPTS_DIR", "nowhere")],
    ids=["setting", "part"],
)
def test_refusal_is_json_where_the_log_is(
    in_file: bool, variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reader takes one object a line, also where another setting is wrong."""
    monkeypatch.chdir(tmp_path)
    environment = {variable: value}
    if in_file:
        (tmp_path / "streamapp.toml").write_text('log_format = "json"')
    else:
        environment["STREAMAPP_LOG_FORMAT"] = "json"

    result = CliRunner().invoke(main, ["worker"], env=environment)

    [line] = map(json.loads, result.stderr.splitlines())
    assert result.exit_code == 2
    assert (line["event"], line["level"]) == ("worker.refused", "critical")
    assert line["reason"].startswith(f"{variable}: ")


def test_refusal_of_an_unreadable_env_is_json_where_the_log_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as the format is known without that file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"A=caf\xe9")

    result = CliRunner().invoke(main, ["worker"], env={"STREAMAPP_LOG_FORMAT": "json"})

    [line] = map(json.loads, result.stderr.splitlines())
    assert (result.exit_code, line["reason"][:7]) == (2, ".env:1:")


def test_refusal_is_plain_where_the_format_of_the_log_is_wrong() -> None:
    """Nobody knows which one was meant."""
    result = CliRunner().invoke(main, ["worker"], env={"STREAMAPP_LOG_FORMAT": "jsn"})

    assert result.exit_code == 2
    assert result.stderr.startswith("streamapp: STREAMAPP_LOG_FORMAT: ")


def test_all_that_is_wrong_with_the_parts_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, each once, by its variable or its place in the file: not one a start."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "streamapp.toml").write_text(
        '[budgets.day]\nlimit_usd = 1\naction = "downgrade"\nmodel = "nope"\n'
    )
    monkeypatch.setenv("STREAMAPP_PROCESSORS", "no_processors")
    monkeypatch.setenv("STREAMAPP_TOOLS", "no_tools")
    monkeypatch.setenv("STREAMAPP_PROMPTS_DIR", "nowhere")

    with pytest.raises(ConfigurationError) as caught:
        app_of(load_settings())

    heads = [line.split(": ")[:2] for line in str(caught.value).splitlines()]
    assert heads == [
        [
            "STREAMAPP_PROCESSORS",
            "there is no module 'no_processors'; is its folder on PYTHONPATH?",
        ],
        ["STREAMAPP_PROMPTS_DIR", "there is no directory 'nowhere'"],
        ["streamapp.toml:4", "[budgets.day] model"],
        ["STREAMAPP_TOOLS", "module 'no_tools'"],
    ]
