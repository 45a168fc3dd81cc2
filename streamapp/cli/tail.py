"""`streamapp tail`: follow what streamapp writes."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import click
from aiokafka import ConsumerRecord

from streamapp.cli.kafka import answered, client_settings, reading
from streamapp.cli.terminal import printable
from streamapp.errors import ConfigurationError, StreamappError
from streamapp.flows.topics import flow_topics
from streamapp.processors.registry import Registry
from streamapp.records.timestamps import moment_of, time_text
from streamapp.settings import Settings
from streamapp.streaming.broker.log_ends import STALL_S, log_ends
from streamapp.streaming.broker.topics import partition_counts, topic_specs
from streamapp.streaming.delivery.chunks import ERROR_KIND, STREAM_ID, STREAM_INDEX, STREAM_LAST
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
    default="responses",
)
@click.option("--topic", help="Another topic, e.g. the output of a flow; its values.")
@click.option("--from-beginning", is_flag=True, help="Begin with the oldest message.")
@click.option("--max", "limit", type=click.IntRange(1), help="End after so many messages.")
@click.option("--exit", "leave", is_flag=True, help="Print what is there, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def tail(
    what: str,
    topic: str | None,
    from_beginning: bool,
    limit: int | None,
    leave: bool,
    as_json: bool,
) -> None:
    """Follow responses, dead-letters, usage or chunks until Ctrl-C.

    Without an argument the responses; what comes from now on, unless --from-beginning is given.
    With --exit all that is there is printed, one partition after the other and each from its
    oldest message on, and the command ends.

    With --json, responses and usage are printed as they are on the topic; a dead letter is an
    object of its reason, its place, and the key and record as text; a chunk one of its stream, its
    place there, and the text. Of another --topic the values are printed, as text.
    """
    settings = client_settings()
    show = (_JSON if as_json else _TEXT)["values" if topic else what]
    topic = topic or settings.topic(TOPICS[what])
    with suppress(KeyboardInterrupt):
        if leave:
            asyncio.run(_print_all(settings, topic, limit, show))
        else:
            asyncio.run(_follow(settings, topic, from_beginning, limit, show))


async def _follow(
    settings: Settings,
    topic: str,
    from_beginning: bool,
    limit: int | None,
    show: Callable[[ConsumerRecord], str],
) -> None:
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
    shown = 0
    async with reading(settings, [topic], from_beginning=from_beginning) as stream:
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
    topic: str,
    limit: int | None,
    show: Callable[[ConsumerRecord], str],
    *,
    stall_s: float = STALL_S,
) -> None:
    """Print what stands on the topic now, in the order of each partition.

    Raises:
        StreamappError: The broker hands out nothing for ``stall_s``, with more to print.
    """
    if not await answered(settings, partition_counts(settings, [topic])):
        click.echo(f"there is no topic {topic}: nothing was written yet", err=True)
        return
    async with reading(settings, [topic], from_beginning=True) as stream:
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
                raise await _stalled(settings, topic)
            for tp, messages in found.items():
                for message in messages:
                    if message.offset < ends[tp] and shown != limit:
                        click.echo(show(message))
                        shown += 1
            # By the position, not by messages: a transaction's end is none.
            left = {tp for tp in left if await stream.position(tp) < ends[tp]}


async def _stalled(settings: Settings, topic: str) -> StreamappError:
    """Return why the client waits for records that stood on the topic when it began."""
    if await answered(settings, partition_counts(settings, [topic])):
        why = "it may have been made anew; run the command again"
        return StreamappError(f"the broker hands out no more of the topic {topic}: {why}")
    return StreamappError(f"the topic {topic} was deleted while it was read")


def headers_of(message: ConsumerRecord) -> dict[str, str]:
    """Return the headers as text."""
    return {name: (value or b"").decode(errors="replace") for name, value in message.headers}


def dead_letter(message: ConsumerRecord) -> dict[str, Any]:
    """Return a dead letter as one object: headers by short names, then the original."""
    headers = headers_of(message)
    streams, own = "__streams.errors.", "streamapp."
    return {
        "id": headers.get(f"{own}request.id"),
        "kind": headers.get(f"{own}error.kind"),
        "stage": headers.get(f"{own}error.stage"),
        "attempts": _number(headers, f"{own}attempts", 0),
        "first_failure": headers.get(f"{own}first-failure"),
        "exception": headers.get(f"{streams}exception"),
        "message": headers.get(f"{streams}message"),
        "topic": headers.get(f"{streams}topic"),
        "partition": _number(headers, f"{streams}partition", -1),
        "offset": _number(headers, f"{streams}offset", -1),
        "key": _text(message.key),
        "record": _text(message.value),
    }


def _response_line(message: ConsumerRecord) -> str:
    record = _object(message.value)
    tokens = record.get("usage") or {}
    return _line(
        message,
        record.get("id"),
        record.get("type"),
        f"{record.get('provider')}/{record.get('model')}",
        "cached" if record.get("cached") else f"{record.get('duration_s', 0):.2f} s",
        f"{tokens.get('input_tokens', 0)}+{tokens.get('output_tokens', 0)} tokens",
        json.dumps(record.get("output"), ensure_ascii=False),
    )


def _dead_letter_line(message: ConsumerRecord) -> str:
    found = dead_letter(message)
    place = f"{found['topic']}-{found['partition']}@{found['offset']}"
    return _line(message, found["id"], found["kind"], found["stage"], place, found["message"])


def _usage_line(message: ConsumerRecord) -> str:
    found = _object(message.value)
    if not found:
        return _value_line(message)
    cost, calls = found.get("cost_usd"), found.get("calls")
    tokens = f"{found.get('input_tokens')}+{found.get('output_tokens')} tokens"
    return _line(
        message,
        f"{found.get('provider')}/{found.get('model')}",
        f"{calls} call{'' if calls == 1 else 's'}",
        f"{tokens}, estimated" if found.get("estimated") else tokens,
        "price unknown" if cost is None else f"${cost}",
        *(f"{name} {found[name]}" for name in ("tenant", "api_key") if found.get(name)),
        at=_moment(found.get("at")),  # which sums count by, however late it was written
    )


def chunk(message: ConsumerRecord) -> dict[str, Any]:
    """Return a chunk as one object: what its headers say, then the text."""
    headers = headers_of(message)
    return {
        "id": headers.get(STREAM_ID),
        "index": _number(headers, STREAM_INDEX, -1),
        "last": headers.get(STREAM_LAST) == "true",
        "kind": headers.get(ERROR_KIND),
        "key": _text(message.key),
        "text": _text(message.value),
    }


def _chunk_line(message: ConsumerRecord) -> str:
    found = chunk(message)
    ended = ("failed: " + found["kind"]) if found["kind"] else "last" if found["last"] else ""
    text = json.dumps(found["text"], ensure_ascii=False)
    return _line(message, found["id"], f"#{found['index']}", *filter(None, (ended,)), text)


def _value_line(message: ConsumerRecord) -> str:
    fields = [text for text in (_text(message.key), _text(message.value)) if text is not None]
    return _line(message, *fields)


def _line(message: ConsumerRecord, *fields: object, at: datetime | None = None) -> str:
    # Not cut: half of an answer is no JSON, and its end may be what is looked for.
    moment = at or moment_of(message.timestamp / 1000)
    return printable("  ".join(map(str, (time_text(moment), *fields))), keep="")


def _number(headers: Mapping[str, str], name: str, other: int) -> int:
    text = headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else other


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _object(value: bytes | None) -> Mapping[str, Any]:
    try:
        record = json.loads(value or b"")
    except ValueError:
        record = None
    return record if isinstance(record, dict) else {}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


_TEXT: Mapping[str, Callable[[ConsumerRecord], str]] = {
    "responses": _response_line,
    "dead-letters": _dead_letter_line,
    "usage": _usage_line,
    "chunks": _chunk_line,
    "values": _value_line,
}
_JSON: Mapping[str, Callable[[ConsumerRecord], str]] = {
    "responses": lambda message: _text(message.value) or "null",
    "dead-letters": lambda message: json.dumps(dead_letter(message), ensure_ascii=False),
    "usage": lambda message: _text(message.value) or "null",
    "chunks": lambda message: json.dumps(chunk(message), ensure_ascii=False),
    "values": lambda message: _text(message.value) or "null",
}
