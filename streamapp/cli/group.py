"""Exit codes and messages of all commands, in one place."""

from typing import IO, Any

import click
from aiokafka.errors import KafkaError

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

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise Ended(str(error), EXIT_CONFIGURATION) from error
        except StreamappError as error:
            raise Ended(str(error), EXIT_FAILED) from error
        except KafkaError as error:
            raise Ended(f"the broker said: {type(error).__name__}", EXIT_FAILED) from error
