"""`streamapp keys`: digests of HTTP keys for `streamapp.toml`."""

import secrets
import sys

import click

from streamapp.cli.group import Commands
from streamapp.errors import ConfigurationError
from streamapp.settings.keys import SHORTEST, digest_of


@click.group(cls=Commands)
def keys() -> None:
    """Make digests of HTTP keys for [keys.NAME] of the file."""


@keys.command("hash")
@click.option("--new", is_flag=True, help="Make a new key; it is printed once, to stderr.")
def hash_key(new: bool) -> None:
    """Print the digest of a key, for key_sha256.

    The key comes on stdin, never as an argument.
    """
    if new:
        key = f"sk-{secrets.token_urlsafe(32)}"
        click.echo(f"the key, shown only here: {key}", err=True)
    else:
        if sys.stdin.isatty():
            click.echo("type or paste the key, then Enter:", err=True)
        key = sys.stdin.readline().removeprefix("\ufeff").strip()  # as PowerShell pipes
    if len(key) < SHORTEST:
        raise ConfigurationError(f"a key has {SHORTEST} characters or more: send it on stdin")
    click.echo(digest_of(key).hex())
