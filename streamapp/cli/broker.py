"""`streamapp broker`: the embedded broker in the foreground."""

import contextlib
import signal
from types import FrameType
from typing import NoReturn

import click

from streamapp.errors import StreamappError
from streamapp.streaming.embedded import EmbeddedBroker


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=9092, show_default=True, help="On loopback."
)
def broker(port: int) -> None:
    """Run the embedded broker until Ctrl-C.

    It speaks Kafka's protocol, keeps everything in memory and is for development alone:
    nothing survives its end.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    with EmbeddedBroker(port=port) as embedded, contextlib.suppress(KeyboardInterrupt):
        click.echo(f"embedded broker on {embedded.url}, in memory only; Ctrl-C ends it", err=True)
        code = embedded.wait()
        raise StreamappError(f"the embedded broker ended by itself with exit code {code}")


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
