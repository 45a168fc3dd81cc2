"""A real worker against all vendors' quirks at once."""

import json
from pathlib import Path

import pytest

from tests.e2e.stage import Record, Stage
from tests.support.fakevendor import KINDS, FakeVendor, quirk_of
from tests.support.kafka import KafkaBroker

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
            [outcome] = stage.verifier.outcomes[id_]
            quirk = quirk_of(id_, streamed=number % 2 == 1)
            right = KINDS.get(quirk, f"answer to {id_}")
            found = outcome.kind or json.loads(outcome.value or b"{}").get("output")
            if found != right:
                wrong.append((id_, quirk, found))

    print(f"{vendor.calls} calls, {vendor.refusals} refusals")  # noqa: T201
    assert wrong == []
    assert vendor.calls <= RECORDS * 1.1 + vendor.refusals
