"""`streamapp worker`: Faust's worker with our defaults."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import click

from streamapp.cli.early_stop import ended_when_told
from streamapp.errors import ConfigurationError
from streamapp.telemetry.refusal import refused_at_start

if TYPE_CHECKING:  # most of the time of a start goes into imports
    from streamapp.settings import Settings
    from streamapp.streaming.app.lifecycle import StreamApp

#: No docstring: a raw one, as the linter wants it, would show click's mark for kept lines.
HELP = """
Run the worker until SIGTERM or Ctrl-C.

What runs then is finished, for up to STREAMAPP_DRAIN_S (100), and it exits 0. Its options
are those of `faust worker`; each wins over the setting in brackets:

\b
  -p, --web-port PORT   port of HTTP [STREAMAPP_WEB_PORT, 6066]
  -b, --web-bind HOST   address to listen on; another than the loopback
                        needs keys [STREAMAPP_WEB_HOST, 127.0.0.1]
  -h, --web-host HOST   name under which other workers reach this one
                        [that of STREAMAPP_WEB_URL, else the address]
  --without-web         no HTTP at all: no probes, no dashboard
  -l, --loglevel LEVEL  debug, info, warning or error
                        [STREAMAPP_LOG_LEVEL, info]
  -f, --logfile FILE    write the log there [stderr]

Settings: STREAMAPP_* and streamapp.toml; `streamapp check` says what is wrong with them.
"""


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
    options_metavar="[OPTIONS]",
    help=HELP,
)
@click.argument("arguments", metavar="", nargs=-1, type=click.UNPROCESSED)
def worker(arguments: tuple[str, ...]) -> None:
    """Run the worker until SIGTERM or Ctrl-C."""
    _check_port(arguments)
    with ended_when_told(), refused_at_start():
        import mode.loop

        mode.loop.use("uvloop")
        from streamapp.telemetry.lean_import import import_structlog

        import_structlog()
        from faust.cli.faust import cli

        from streamapp.cli.data_folder import hold_folder
        from streamapp.cli.open_files import warn_of_few_files
        from streamapp.settings.loading import load_settings
        from streamapp.telemetry.logging import log_in_format

        settings = load_settings()
        log_in_format(settings)  # until Faust's worker, which knows its options, does so
        warn_of_few_files(settings)
        hold_folder(settings.data_dir, is_stored=not settings.store.startswith("memory:"))
        # Faust parses the command line once more and exits by itself.
        own = ["--quiet", "worker", *_with_fausts_level(arguments)]
        cli.main(own, prog_name="streamapp", app=app_of(settings))


def app_of(settings: "Settings") -> "StreamApp":
    """Return the worker's app.

    Raises:
        ConfigurationError: With a line for all that `streamapp check` finds wrong in the parts that
            the settings name; the app alone ends at the first.
    """
    from streamapp.bootstrap import create_app

    try:
        return create_app(settings)
    except ConfigurationError as error:
        from streamapp.cli.findings import own_parts
        from streamapp.settings.located import located

        first = str(error)
        wrong = [one.detail for one in own_parts(settings) if not one.ok]
        lines = located(settings, (line for detail in wrong for line in detail.splitlines()))
        rest = [line for line in dict.fromkeys(lines) if line not in first]
        raise ConfigurationError("\n".join([first, *rest])) from error


def _with_fausts_level(arguments: Sequence[str]) -> list[str]:
    """Return them with ``warn`` for the level that settings call ``warning``."""
    return [
        re.sub(r"warning$", "warn", one, flags=re.IGNORECASE)
        if before in ("-l", "--loglevel") or one.startswith(("-l", "--loglevel="))
        else one
        for before, one in pairwise(["", *arguments])
    ]


def _check_port(arguments: tuple[str, ...]) -> None:
    """Refuse what is no port, in words: Faust says `is not a valid range[1-65535]`."""
    given = [value for option, value in pairwise(arguments) if option in ("-p", "--web-port")]
    given += [one.partition("=")[2] for one in arguments if one.startswith("--web-port=")]
    for text in given:
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65_535):
            raise click.BadParameter(f"{text!r} is no port: write a number from 1 to 65535")
