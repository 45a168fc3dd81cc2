"""The `streamapp` command. Commands read options and print; the other packages do the work."""

from typing import Any

import click

from streamapp.cli.group import LazyCommands
from streamapp.telemetry.garbage import collect_rarely

__all__ = ["main"]

#: The first sentence of each command's own help, by where the command is.
COMMANDS = {
    "streamapp.cli.broker:broker": "Run the embedded broker until Ctrl-C.",
    "streamapp.cli.check:check": "Check settings, processors, prompts, providers and topics.",
    "streamapp.cli.dead_letters:dead_letters": "Look at what failed, and send it again.",
    "streamapp.cli.demo:demo": "Run a broker, a worker and one sample record of every type.",
    "streamapp.cli.examples:examples": "Look at sets of few-shot examples and publish them.",
    "streamapp.cli.explain:explain": "Show what a worker would make of each record of FILE.",
    "streamapp.cli.flows:flows": "List the flows with their topics, lag, rate and cost.",
    "streamapp.cli.keys:keys": "Make digests of HTTP keys for [keys.NAME] of the file.",
    "streamapp.cli.prompts:prompts": "Look at prompts and change which version is used.",
    "streamapp.cli.send:send": "Send the request records of FILE.",
    "streamapp.cli.tail:tail": "Follow responses, dead-letters, usage or chunks until Ctrl-C.",
    "streamapp.cli.tools:tools": "List the tools that models may call; call none.",
    "streamapp.cli.worker:worker": "Run the worker.",
}


class _Main(LazyCommands):
    def invoke(self, ctx: click.Context) -> Any:
        collect_rarely()
        return super().invoke(ctx)


@click.group(cls=_Main, lazy=COMMANDS)
@click.version_option(package_name="streamapp", message="streamapp %(version)s")
def main() -> None:
    """Language-model calls in Kafka streams.

    `streamapp demo` shows all of it, with nothing else running. With a Kafka of your own: `check`,
    then `worker`, then `send` and `tail`.

    Settings come from STREAMAPP_* environment variables and streamapp.toml. Data goes to
    stdout, everything else to stderr. Exit codes: 0 done, 1 failed at run time, 2 usage or
    configuration error, found before anything starts.
    """
