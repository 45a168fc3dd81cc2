"""`streamapp broker`: the embedded broker in the foreground."""

import contextlib
import signal
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

import click

from streamapp.cli.kafka import client_settings
from streamapp.errors import StreamappError
from streamapp.streaming.broker.embedded import EmbeddedBroker

#: Kafka's own.
DEFAULT_PORT = 9092


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="On loopback; default: that of STREAMAPP_BROKER, else 9092.",
)
def broker(port: int | None) -> None:
    """Run the embedded broker until Ctrl-C.

    It speaks Kafka's protocol, keeps everything in memory and is for development alone: nothing
    survives its end. End the workers first, and start them after it: one that still runs makes
    it create topics of the wrong size. A group takes 5 s to join. Where its last worker has
    stopped, the broker remembers it until the session is over: who starts meanwhile waits for
    about 20 s (STREAMAPP_SESSION_TIMEOUT_S 10). Where a worker starts or stops, it waits some 5
    s for what the others have in flight: what takes longer is answered twice, or paid twice.
    And it keeps no metadata of commits: what was answered behind a held record is answered again
    then, without a call. Apache Kafka waits until all is done, and keeps them.
    """
    settings = client_settings()
    port = port or urlsplit(f"//{settings.brokers[0]}").port or DEFAULT_PORT
    signal.signal(signal.SIGTERM, _interrupt)
    broker = EmbeddedBroker(port=port, data_dir=settings.data_dir)
    with broker as embedded, contextlib.suppress(KeyboardInterrupt):
        click.echo(f"embedded broker on {embedded.url}, in memory only; Ctrl-C ends it", err=True)
        code = embedded.wait()
        raise StreamappError(f"the embedded broker ended by itself with exit code {code}")


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
