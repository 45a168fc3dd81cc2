"""`streamapp tail`: follow what streamapp writes."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import click
from aiokafka import ConsumerRecord

from streamapp.cli.kafka import answered, client_settings, reading
from streamapp.cli.message_lines import JSON, TEXT
from streamapp.errors import ConfigurationError, StreamappError
from streamapp.flows.topics import FlowTopics, flow_topics
from streamapp.processors.registry import Registry
from streamapp.settings import Settings
from streamapp.streaming.broker.log_ends import STALL_S, log_ends
from streamapp.streaming.broker.topics import partition_counts, topic_specs
from streamapp.streaming.flows.topics import flow_rights

TOPICS = {
    "responses": "responses",
    "dead-letters": "requests-dlt",
    "usage": "usage",
    "chunks": "chunks",
}

#: Between two looks for a topic that does not exist yet, seconds.
POLL_INTERVAL_S = 1.0


@click.command()
@click.argument(
    "what",
    metavar="[responses|dead-letters|usage|chunks]",
    type=click.Choice(list(TOPICS)),
    required=False,
)
@click.option("--topic", help="Another topic, e.g. the output of a flow; its values.")
@click.option("--from-beginning", is_flag=True, help="Begin with the oldest message.")
@click.option("--max", "limit", type=click.IntRange(1), help="End after so many messages.")
@click.option("--exit", "leave", is_flag=True, help="Print what is there, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def tail(
    what: str | None,
    topic: str | None,
    from_beginning: bool,
    limit: int | None,
    leave: bool,
    as_json: bool,
) -> None:
    """Follow responses, dead-letters, usage or chunks until Ctrl-C.

    Without an argument the responses; what comes from now on, unless --from-beginning is given.
    Dead letters are those of request records and of all flows.
    With --exit all that is there is printed, one partition after the other and each from its
    oldest message on, and the command ends.

    With --json, responses and usage are printed as they are on the topic; a dead letter is an
    object of its reason, its place, and the key and record as text; a chunk one of its stream, its
    place there, and the text. Of another --topic the values are printed: JSON as it is, without
    the frame of a schema registry, and what is no JSON, as text or Avro, as a string.
    """
    if what and topic:
        raise click.UsageError(f"'{what}' and --topic are two topics: leave one of them out")
    what = what or "responses"
    settings = client_settings()
    show = (JSON if as_json else TEXT)["values" if topic else what]
    topics = [topic] if topic else _topics(settings, what)
    with suppress(KeyboardInterrupt):
        if leave:
            asyncio.run(_print_all(settings, topics, limit, show))
        else:
            asyncio.run(_follow(settings, topics, from_beginning, limit, show))


def _topics(settings: Settings, what: str) -> list[str]:
    """Return where it stands, the topic of ours first; dead letters of flows have their own."""
    flows: Mapping[str, FlowTopics] = {}
    if what == "dead-letters":
        try:
            flows = flow_topics(settings, Registry.load(settings.processor_modules))
        except ConfigurationError as error:
            click.echo(f"the dead letters of flows are not shown: {error}", err=True)
    dead_letters = (flow.dead_letters for flow in flows.values())
    return list(dict.fromkeys((settings.topic(TOPICS[what]), *dead_letters)))


async def _follow(
    settings: Settings,
    topics: Sequence[str],
    from_beginning: bool,
    limit: int | None,
    show: Callable[[ConsumerRecord], str],
) -> None:
    topic = topics[0]
    if not await answered(settings, partition_counts(settings, [topic])):
        comes = (
            "a worker creates it"
            if is_made_by_workers(settings, topic)
            else "no worker with these settings creates it, is that its name?"
        )
        click.echo(f"waiting for the topic {topic}: {comes}", err=True)
        from_beginning = True  # all that comes is new
        # A broker tells nobody of new topics.
        while not await partition_counts(settings, [topic]):  # noqa: ASYNC110
            await asyncio.sleep(POLL_INTERVAL_S)
    there = await answered(settings, partition_counts(settings, topics))
    for other in [name for name in topics if name not in there]:
        again = "begin again once a worker has created it"
        click.echo(f"there is no topic {other} yet, it is not followed: {again}", err=True)
    shown = 0
    async with reading(settings, topics, from_beginning=from_beginning) as stream:
        places = list(stream.assignment())
        if await stream.beginning_offsets(places) == await stream.end_offsets(places):
            _tell_of_outputs(settings, topic)
        async for message in stream:
            click.echo(show(message))
            shown += 1
            if shown == limit:
                return


def is_made_by_workers(settings: Settings, topic: str) -> bool:
    """Whether a worker creates the topic at its start: one of ours, or what a flow writes to."""
    if any(spec.name == topic for spec in topic_specs(settings)):
        return True
    try:
        registry = Registry.load(settings.processor_modules)
    except ConfigurationError:  # no worker starts with them
        return False
    rights = flow_rights(settings, flow_topics(settings, registry))
    return "Write" in rights.get(topic, ())  # what a flow only reads is somebody else's


async def _print_all(
    settings: Settings,
    topics: Sequence[str],
    limit: int | None,
    show: Callable[[ConsumerRecord], str],
    *,
    stall_s: float = STALL_S,
) -> None:
    """Print what stands on the topics now, in the order of each partition.

    Raises:
        StreamappError: The broker hands out nothing for ``stall_s``, with more to print.
    """
    there = await answered(settings, partition_counts(settings, topics))
    for topic in [name for name in topics if name not in there]:
        click.echo(f"there is no topic {topic}: nothing was written yet", err=True)
    if not there:
        _tell_of_outputs(settings, topics[0])
        return
    async with reading(settings, topics, from_beginning=True) as stream:
        places = stream.assignment()
        ends = await log_ends(stream, places)
        stream.assign(list(places))
        await stream.seek_to_beginning(*places)
        left = {tp for tp, end in ends.items() if await stream.position(tp) < end}
        clock = asyncio.get_running_loop().time
        shown, moved_at = 0, clock()
        while left and shown != limit:
            found = await stream.getmany(timeout_ms=500)
            if found:
                moved_at = clock()
            elif clock() - moved_at > stall_s:
                raise await _stalled(settings, min(tp.topic for tp in left))
            for tp, messages in found.items():
                for message in messages:
                    if message.offset < ends[tp] and shown != limit:
                        click.echo(show(message))
                        shown += 1
            # By the position, not by messages: a transaction's end is none.
            left = {tp for tp in left if await stream.position(tp) < ends[tp]}
    if not shown:
        _tell_of_outputs(settings, topics[0])


def _tell_of_outputs(settings: Settings, topic: str) -> None:
    """Say where the answers of flows are, where there is none of a request record."""
    if topic != settings.topic("responses"):
        return
    with suppress(ConfigurationError):  # no worker starts with them
        for name, flow in flow_topics(settings, Registry.load(settings.processor_modules)).items():
            for output in flow.outputs:
                click.echo(f"the flow {name} writes to another topic: --topic {output}", err=True)


async def _stalled(settings: Settings, topic: str) -> StreamappError:
    """Return why the client waits for records that stood on the topic when it began."""
    if await answered(settings, partition_counts(settings, [topic])):
        why = "it may have been made anew; run the command again"
        return StreamappError(f"the broker hands out no more of the topic {topic}: {why}")
    return StreamappError(f"the topic {topic} was deleted while it was read")
