"""A real worker against all vendors' quirks at once."""

import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stage import Record, Stage
from tests.support.fakevendor import KINDS, FakeVendor, quirk_of
from tests.support.judgement import Outcome
from tests.support.kafka import KafkaBroker
from tests.support.quirky_vendor import VENDORS, QuirkyVendor, right_of, shapes_of
from tests.unit.llm.providers.vendors.shape import Shape

pytestmark = pytest.mark.kafka

RECORDS = 2_000


def record(number: int) -> Record:
    fields = {
        "id": f"r-{number}",
        "type": "chat",
        "messages": [{"role": "user", "content": f"r-{number}"}],
        "max_tokens": 9,
        "stream": number % 2 == 1,
    }
    return Record(json.dumps(fields).encode(), f"r-{number}".encode())


def the_one(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of a record; a broker that stalls may hold it twice, but no other one."""
    assert len({(outcome.kind, outcome.value) for outcome in outcomes}) == 1
    return outcomes[0]


@pytest.mark.timeout(300)
async def test_every_quirk_has_its_outcome(kafka: KafkaBroker, tmp_path: Path) -> None:
    """2,000 records: each its own answer or its own dead letter, and hardly a call too many."""
    async with FakeVendor() as vendor, Stage(kafka, tmp_path) as stage:
        config = tmp_path / "streamapp.toml"
        config.write_text(
            f'[providers.vendor]\nkind = "openai"\nbase_url = "{vendor.base_url}"\n'
            '[models.default]\ntargets = ["vendor/m"]\n'
        )
        await stage.open()
        await stage.ready_worker(config=config)
        await stage.produce([record(number) for number in range(RECORDS)])
        await stage.verifier.all_answered(RECORDS, 120)

        wrong = []
        for number in range(RECORDS):
            id_ = f"r-{number}"
            outcome = the_one(stage.verifier.outcomes[id_])
            quirk = quirk_of(id_, streamed=number % 2 == 1)
            right = KINDS.get(quirk, f"answer to {id_}")
            found = outcome.kind or json.loads(outcome.value or b"{}").get("output")
            if found != right:
                wrong.append((id_, quirk, found))

    print(f"{vendor.calls} calls, {vendor.refusals} refusals")  # noqa: T201
    assert Counter(wrong) == {}
    assert vendor.calls <= RECORDS * 1.1 + vendor.refusals


def quirky(number: int, shape: Shape, *, model: str) -> Record:
    """Return a record that asks what the shape's answers are to."""
    id_, ask = f"r-{number}", dict(shape.ask)
    fields: dict[str, Any] = {"id": id_, "model": model}
    if "inputs" in ask:
        fields |= {"type": "embed", "input": [id_, *ask["inputs"][1:]]}
    elif "output_schema" in ask:
        fields |= {"type": "extract", "text": id_, "schema": ask["output_schema"]}
    else:
        messages = [{"role": "user", "content": id_}]
        fields |= {"type": "chat", "messages": messages, "stream": shape.stream}
        fields |= ask.get("parameters", {})
    return Record(json.dumps(fields).encode(), id_.encode())


@pytest.mark.timeout(300)
async def test_every_vendor_at_once_has_no_wrong_outcome(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """2,000 records over a fake of each vendor, with every shape that is known of it."""
    each = -(-RECORDS // len(VENDORS))
    async with contextlib.AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(QuirkyVendor(shapes_of(vendor))) for vendor in VENDORS
        ]
        stage = await stack.enter_async_context(Stage(kafka, tmp_path))
        tables = [
            f'[providers.v{place}]\nkind = "{shapes_of(vendor)[0].provider}"\n'
            f'base_url = "{server.root_url}"\n[models.v{place}]\ntargets = ["v{place}/m"]\n'
            for place, (vendor, server) in enumerate(zip(VENDORS, servers, strict=True))
        ]
        config = tmp_path / "streamapp.toml"
        config.write_text("".join(tables) + '[models.default]\ntargets = ["v0/m"]\n')
        asked = {
            place * 1_000 + number: servers[place].shape_of(place * 1_000 + number)
            for number in range(each)
            for place in range(len(VENDORS))
        }
        await stage.open()
        await stage.ready_worker(config=config)
        await stage.produce(
            quirky(number, shape, model=f"v{number // 1_000}") for number, shape in asked.items()
        )
        await stage.verifier.all_answered(len(asked), 120)
        wrong = []
        for number, shape in asked.items():
            outcome = the_one(stage.verifier.outcomes[f"r-{number}"])
            response = json.loads(outcome.value or b"{}")
            found = outcome.kind or response.get("output")
            calls = [call["function"]["arguments"] for call in response.get("tool_calls") or ()]
            right = right_of(shape, number)
            if found != right or (not outcome.kind and calls != [*shape.tool_arguments]):
                wrong.append((shape.id, str(found), tuple(calls)))

    made = sum(server.calls for server in servers)
    refused = sum(server.refusals for server in servers)
    print(f"{len(asked)} records of {len(VENDORS)} vendors: {made} calls, {refused} refusals")  # noqa: T201
    assert Counter(wrong) == {}
    assert made <= len(asked) * 1.1 + refused
