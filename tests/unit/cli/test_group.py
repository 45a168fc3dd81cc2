"""Exit codes and messages."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from aiokafka.errors import KafkaConnectionError
from click.testing import CliRunner

from streamapp.cli import main
from streamapp.cli.group import Commands
from streamapp.errors import ConfigurationError, DeliveryFailed


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigurationError("STREAMAPP_X: do this"), 2, "streamapp: STREAMAPP_X: do this\n"),
        (DeliveryFailed("not taken"), 1, "streamapp: not taken\n"),
        (KafkaConnectionError("x"), 1, "streamapp: the broker said: KafkaConnectionError\n"),
    ],
    ids=["configuration", "run time", "kafka"],
)
def test_errors_end_with_one_line_and_their_code(error: Exception, code: int, message: str) -> None:
    """Our errors go to stderr as one line, without a traceback; stdout stays clean."""

    @click.group(cls=Commands)
    def main() -> None: ...

    @main.command()
    def fail() -> None:
        raise error

    result = CliRunner().invoke(main, ["fail"])

    assert (result.exit_code, result.stderr, result.stdout) == (code, message, "")


@pytest.mark.parametrize(
    "arguments", [["nope"], ["tail", "nope"], ["send"], ["send", "nope.jsonl"]]
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    """Unknown commands, choices and files are found before anything starts."""
    from streamapp.cli import main

    assert CliRunner().invoke(main, arguments).exit_code == 2


@pytest.mark.timeout(60)
def test_module_runs_the_same_commands() -> None:
    """`python -m streamapp` is the console script."""
    ran = subprocess.run(
        [sys.executable, "-m", "streamapp", "--version"], capture_output=True, text=True
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("streamapp 0.")


def helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, terminal_width=80)
    yield command.get_help(context)
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from helps(found, child, context)


def test_help_of_every_command_fits_80_columns_without_marks() -> None:
    """Lines that are kept as they are stand so, without click's mark for them."""
    from streamapp.cli import main

    texts = list(helps(main, "streamapp", None))

    assert any("\n    -l, --loglevel LEVEL  debug" in text for text in texts)
    for text in texts:
        assert "\\b" not in text
        assert max(map(len, text.splitlines())) <= 80, text


def _groups(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the path of each command and group."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _groups(inner, (*path, name))


@pytest.mark.parametrize(
    "path", list(_groups(main)), ids=lambda path: " ".join(path) or "streamapp"
)
def test_help_is_whole_at_80_columns(path: tuple[str, ...]) -> None:
    """No line is longer, and no sentence of a list of commands is cut."""
    result = CliRunner().invoke(main, [*path, "--help"], terminal_width=80)

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert [line for line in lines if len(line) > 80] == []
    listed = lines[lines.index("Commands:") :] if "Commands:" in lines else []
    assert [line for line in listed if line.endswith("...")] == []


@pytest.mark.parametrize(
    ("command", "like"), [(["wroker"], "worker"), (["dead-letters", "sow"], "show")]
)
def test_a_mistyped_command_is_told_with_the_one_that_is_like_it(
    command: list[str], like: str
) -> None:
    """Of the program, and of its groups of commands."""
    result = CliRunner().invoke(main, command)

    assert result.exit_code == 2
    assert f"Did you mean '{like}'?" in result.stderr
