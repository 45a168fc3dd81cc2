"""What a record writes to the ledger's changelog."""

import json
from importlib.resources import files

import pytest

from streamapp.llm.schemas.instance import instance_of
from tests.unit.bootstrap.test_tracing import Worker

SAMPLES = [
    json.loads(line)
    for line in files("streamapp.cli").joinpath("samples.jsonl").read_text().splitlines()
]


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample["type"] for sample in SAMPLES])
async def test_a_record_of_one_call_is_written_once(sample: dict[str, object]) -> None:
    """Its own entry is its step: durable steps cost the built-in types nothing."""
    worker = Worker()
    labels, schema = sample.get("labels"), sample.get("schema")
    if isinstance(labels, list):
        worker.llm.enqueue(json.dumps({"label": labels[0]}))
    elif isinstance(schema, dict):
        worker.llm.enqueue(json.dumps(instance_of(schema)))

    await worker.answer(json.dumps({**sample, "id": "one"}).encode())

    assert "llm.responses" in worker.written, worker.written
    assert worker.appended == [b"one"]
