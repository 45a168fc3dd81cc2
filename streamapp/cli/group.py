"""Exit codes and messages of all commands, in one place."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import IO, Any

import click

from streamapp.errors import ConfigurationError, StreamappError

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2


class Ended(click.ClickException):
    """Ends the command with a message that says what to change."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        """Print one line to stderr."""
        click.echo(f"streamapp: {self.format_message()}", file=file, err=True)


class Commands(click.Group):
    """Turns our errors into exit codes: 2 for what the operator set, 1 for what happened."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is asked for; one that is not there with what is like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if near := get_close_matches(args[0], self.list_commands(ctx), n=1):
                error.message += f" Did you mean '{near[0]}'?"
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise Ended(str(error), EXIT_CONFIGURATION) from error
        except StreamappError as error:
            raise Ended(str(error), EXIT_FAILED) from error
        except _kafka_error() as error:
            raise Ended(f"the broker said: {type(error).__name__}", EXIT_FAILED) from error


class LazyCommands(Commands):
    """Commands that are imported when they are asked for: most of them need all of Kafka.

    Args:
        lazy: The line of help of each command, by where it is: ``MODULE:NAME``.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = (place.partition(":")[2].rstrip("_").replace("_", "-") for place in lazy)
        self._lazy = dict(zip(names, lazy.items(), strict=True))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None where there is none of that name."""
        if cmd_name not in self._lazy:
            return None
        module, _, name = self._lazy[cmd_name][0].partition(":")
        return getattr(import_module(module), name)  # type: ignore[no-any-return]  # a command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of ``--help`` without a command being imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._lazy.items()])


def _kafka_error() -> type[Exception]:
    """Return what the client raises; only imported where something was raised."""
    from aiokafka.errors import KafkaError

    return KafkaError  # type: ignore[no-any-return]  # aiokafka has no types
