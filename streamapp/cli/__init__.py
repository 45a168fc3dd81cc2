"""The `streamapp` command."""

import click


@click.group()
def main() -> None:
    """Language-model calls in Kafka streams."""
