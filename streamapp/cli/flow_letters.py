"""Dead letters of flows, for who looks at those of request records alone."""

import click
from aiokafka.errors import KafkaError

from streamapp.cli.kafka import answered
from streamapp.cli.terminal import counted
from streamapp.errors import StreamappError
from streamapp.flows.topics import flow_topics
from streamapp.processors.registry import Registry
from streamapp.settings import Settings
from streamapp.settings.flows import REQUESTS
from streamapp.streaming.broker.topics import partition_counts
from streamapp.streaming.dead_letters.reader import DeadLetterReader
from streamapp.streaming.dead_letters.source import flow_source


async def tell_of_flows(
    settings: Settings, flow: str, *, since: float | None = None
) -> dict[str, int] | None:
    """Say which flows have dead letters where those of requests were looked at.

    Args:
        settings: Name the flows.
        flow: Whose were looked at.
        since: Count those alone that were written then or later, seconds since the epoch.

    Returns:
        How many each flow has, of those that have some; None where that is not known, or one
        flow was meant.
    """
    if flow != REQUESTS:
        return None
    try:
        held = await _held(settings, since)
    except (StreamappError, KafkaError) as error:
        why = str(error) or type(error).__name__
        click.echo(f"the dead letters of flows were not counted: {why}", err=True)
        return None
    for name, count in held.items():
        told = f"the flow {name} has {counted(count, 'dead letter')}, sent again or not"
        click.echo(f"{told}: --flow {name}", err=True)
    return held


async def _held(settings: Settings, since: float | None) -> dict[str, int]:
    """Return how many the topics of flows hold by their offsets, sent again or not."""
    flows = flow_topics(settings, Registry.load(settings.processor_modules))
    names = [flow.dead_letters for flow in flows.values()]
    counts = await answered(settings, partition_counts(settings, names)) if names else {}
    held = {}
    for name, flow in flows.items():
        if flow.dead_letters not in counts:  # it has not run yet
            continue
        async with DeadLetterReader(settings, flow_source(settings, flow, counts)) as log:
            held[name] = await log.held(since=since)
    return {name: count for name, count in held.items() if count}
