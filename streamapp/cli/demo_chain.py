"""The demo's chain of flows: sample reviews, translated, classified, and answered where needed."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from rich.table import Table
from rich.text import Text

from streamapp.cli.answers import shown
from streamapp.cli.kafka import producing, reading
from streamapp.errors import StreamappError
from streamapp.settings import Settings

INPUT, ENGLISH, LABELLED, REPLIES = (
    "demo.reviews",
    "demo.reviews.english",
    "demo.reviews.labelled",
    "demo.reviews.replies",
)
#: The label of reviews that need no reply.
PRAISE = "praise"

#: As `docs/pipelines.md` shows them.
FLOWS: Mapping[str, Mapping[str, Any]] = {
    "translate": {
        "input": INPUT,
        "from": "earliest",
        "type": "translate",
        "id": "{{ value.review_id }}",
        "output": ENGLISH,
        "shape": "merge",
        "merge_into": "english",
        "fields": {"text": "{{ value.body }}", "target_language": "English"},
    },
    "classify": {
        "input": ENGLISH,
        "from": "earliest",
        "type": "classify",
        "output": LABELLED,
        "shape": "merge",
        "fields": {"text": "{{ value.english }}", "labels": ["delivery", "quality", PRAISE]},
    },
    "reply": {
        "input": LABELLED,
        "from": "earliest",
        "type": "chat",
        "when": f"{{{{ value.label != '{PRAISE}' }}}}",
        "output": REPLIES,
        "shape": "merge",
        "merge_into": "reply",
        "fields": {
            "messages": [
                {
                    "role": "user",
                    "content": "Draft an answer of one sentence to this review of a shop, about"
                    " {{ value.label }}: {{ value.english }}",
                }
            ]
        },
    },
}


def reviews() -> list[dict[str, Any]]:
    """Return the sample reviews."""
    text = files("streamapp.cli").joinpath("reviews.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


async def send_reviews(settings: Settings) -> None:
    """Put the reviews on the first topic, which the embedded broker makes."""
    async with producing(settings) as producer:
        for review in reviews():
            value, key = json.dumps(review).encode(), review["review_id"].encode()
            await producer.send_and_wait(INPUT, value, key=key)


async def chain_ends(settings: Settings, *, timeout_s: float) -> list[dict[str, Any]]:
    """Return each review as the last flow wrote it that has it, in the order of the reviews.

    Raises:
        StreamappError: Some came to no end in time; names their ids.
    """
    ids = [review["review_id"] for review in reviews()]
    ends: dict[str, dict[str, Any]] = {}
    async with reading(settings, [LABELLED, REPLIES], from_beginning=True) as stream:
        try:
            async with asyncio.timeout(timeout_s):
                async for message in stream:
                    value = json.loads(message.value)
                    if message.topic == REPLIES or value["label"] == PRAISE:
                        ends[value["review_id"]] = value
                    if len(ends) == len(ids):
                        break
        except TimeoutError:
            missing = ", ".join(id for id in ids if id not in ends)
            problem = f"no end of the chain within {timeout_s:g} s for the reviews {missing}"
            raise StreamappError(problem) from None
    return [ends[id] for id in ids]


def chain_table(ends: Sequence[Mapping[str, Any]]) -> Table:
    """Return one row for each review, a column for each flow."""
    table = Table("review", *FLOWS, title=f"{INPUT} to {REPLIES}, flow by flow", show_lines=True)
    for end in ends:
        cells = (end["body"], end["english"], end["label"], end.get("reply", "-"))
        # Text, not markup: an answer may hold brackets and escape sequences.
        table.add_row(*(Text(shown(cell)) for cell in cells))
    return table
