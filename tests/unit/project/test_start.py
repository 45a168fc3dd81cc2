"""What a start does without: modules that nobody has asked for."""

import subprocess
import sys

import click
import pytest

from streamapp.cli import COMMANDS, main

# Each test is a process that imports the app.
pytestmark = pytest.mark.timeout(60)


def imported_by(statement: str) -> set[str]:
    """Return the names of all modules that a new process has after ``statement``."""
    program = f"import sys\n{statement}\nsys.stdout.write(' '.join(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.split())


def test_worker_imports_nothing_that_it_is_not_configured_to_use() -> None:
    """Clients of vendors, of Redis and of traces, and the price list, each cost a start."""
    unwanted = (
        "aiocache anthropic genai_prices greenlet httpx jsonschema_rs litellm openai"
        " opentelemetry pygments redis rich rocksdict"
    )

    modules = imported_by("import streamapp.app")

    assert modules & set(unwanted.split()) == set()


def test_worker_by_its_command_imports_as_little() -> None:
    """What structlog would take is hidden from it alone: who uses it afterwards has it."""
    modules = imported_by(
        "import faust.cli.faust\n"
        "from types import SimpleNamespace\n"
        "faust.cli.faust.cli = SimpleNamespace(main=lambda *words, **options: None)\n"
        "from streamapp.cli.worker import worker\n"
        "worker.main([], standalone_mode=False)\n"
        "assert 'rich' not in sys.modules\n"
        "import rich.console"
    )

    assert {"structlog", "rich"} <= modules
    assert modules & {"greenlet", "jsonschema_rs"} == set()


def test_help_imports_no_command() -> None:
    """The list of commands is there before Kafka's client is."""
    modules = imported_by(
        "from click.testing import CliRunner\n"
        "from streamapp.cli import main\n"
        "assert 'dead-letters' in CliRunner().invoke(main, ['--help']).stdout"
    )

    assert modules & {"aiokafka", "faust", "pydantic", "rich"} == set()


@pytest.mark.parametrize("name", main.list_commands(click.Context(main)))
def test_help_of_all_commands_is_that_of_each(name: str) -> None:
    """The line in the list begins as the command's own help does."""
    command = main.get_command(click.Context(main), name)

    line = dict(zip(main.list_commands(click.Context(main)), COMMANDS.values(), strict=True))[name]
    assert command is not None
    assert " ".join((command.help or "").split()).startswith(line.removesuffix("."))


def test_collector_rests_from_the_start_on() -> None:
    """Also Faust's own command line starts with the worker's thresholds."""
    program = "import gc, streamapp.app; print(*gc.get_threshold())"

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert ran.stdout == "50000 20 50\n"
