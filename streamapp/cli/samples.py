"""The demo's records: one of every built-in type and one of an agent, sent and awaited."""

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from streamapp.cli.demo_agent import SAMPLE
from streamapp.cli.kafka import producing, reading
from streamapp.cli.message_lines import dead_letter
from streamapp.errors import StreamappError
from streamapp.settings import Settings


@dataclass(frozen=True, slots=True)
class SampleOutcome:
    """What became of one sample: a response, or the reason of its dead letter."""

    type: str
    response: Mapping[str, Any] | None = None
    failure: str = ""


def samples() -> dict[str, dict[str, Any]]:
    """Return the sample records by their ids, which are new with every call."""
    text = files("streamapp.cli").joinpath("samples.jsonl").read_text("utf-8")
    run = secrets.token_hex(3)
    records = [*map(json.loads, text.splitlines()), SAMPLE]
    return {f"demo-{run}-{r['type']}": {"id": f"demo-{run}-{r['type']}", **r} for r in records}


async def answer_samples(
    settings: Settings, *, on_outcome: Callable[[], object], timeout_s: float
) -> list[SampleOutcome]:
    """Send the samples to a ready worker and return their outcomes in the samples' order.

    Raises:
        StreamappError: Some had none in time; names their types.
    """
    records = samples()
    outcomes: dict[str, SampleOutcome] = {}
    dead_letters = settings.topic("requests-dlt")
    topics = [settings.topic("responses"), dead_letters]
    async with reading(settings, topics, from_beginning=False) as stream:
        async with producing(settings) as producer:
            for record in records.values():
                await producer.send(settings.topic("requests"), json.dumps(record).encode())
        try:
            async with asyncio.timeout(timeout_s):
                async for message in stream:
                    if message.topic == dead_letters:
                        found = dead_letter(message)
                        id, response = found["id"], None
                        failure = f"dead letter {found['kind']}: {found['message']}"
                    else:
                        response, failure = json.loads(message.value), ""
                        id = response["id"]
                    if id in records and id not in outcomes:
                        outcomes[id] = SampleOutcome(records[id]["type"], response, failure)
                        on_outcome()
                    if len(outcomes) == len(records):
                        break
        except TimeoutError:
            missing = ", ".join(r["type"] for id, r in records.items() if id not in outcomes)
            raise StreamappError(f"no answer within {timeout_s:g} s for: {missing}") from None
    return [outcomes[id] for id in records]
