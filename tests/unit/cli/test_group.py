"""Exit codes and messages."""

import subprocess
import sys

import click
import pytest
from aiokafka.errors import KafkaConnectionError
from click.testing import CliRunner

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
