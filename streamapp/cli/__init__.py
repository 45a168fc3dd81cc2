"""The `streamapp` command. Commands read options and print; the work is done in other rooms."""

import click

from streamapp.cli.broker import broker
from streamapp.cli.check import check
from streamapp.cli.dead_letters import dead_letters
from streamapp.cli.demo import demo
from streamapp.cli.examples import examples
from streamapp.cli.explain import explain
from streamapp.cli.group import Commands
from streamapp.cli.keys import keys
from streamapp.cli.prompts import prompts
from streamapp.cli.send import send
from streamapp.cli.tail import tail
from streamapp.cli.worker import worker

__all__ = ["main"]


@click.group(cls=Commands)
@click.version_option(package_name="streamapp", message="streamapp %(version)s")
def main() -> None:
    """Language-model calls in Kafka streams.

    Settings come from STREAMAPP_* environment variables and streamapp.toml. Data goes to
    stdout, everything else to stderr. Exit codes: 0 done, 1 failed at run time, 2 usage or
    configuration error, found before anything starts.
    """


for command in (
    broker,
    check,
    dead_letters,
    demo,
    examples,
    explain,
    keys,
    prompts,
    send,
    tail,
    worker,
):
    main.add_command(command)
