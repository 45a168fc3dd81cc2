"""Whatever bytes arrive: each record ends in one defined way, and the ones behind it go on."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stage import API_KEY, Record, Stage, ask
from tests.support.judgement import Outcome
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

CANARY = "payload-canary"
OK = "ok"


def chat(id_: str, text: str = "", **fields: Any) -> bytes:
    """Return the bytes of a valid record, with any field replaced or added."""
    message = {"role": "user", "content": f"{id_} {text}"}
    record = {"id": id_, "type": "chat", "messages": [message], **fields}
    return json.dumps(record).encode()


def keyed(value: bytes | None, *headers: tuple[str, bytes]) -> Record:
    """Return a record with a key that must not leak either."""
    return Record(value, f"key-{CANARY}".encode(), headers=headers)


# What comes in, and the kind of its dead letter or `OK`; order matters for repeated ids.
ROWS: dict[str, tuple[Record, str]] = {
    "no JSON": (keyed(f"{{{CANARY}".encode()), "undecodable"),
    "wrong UTF-8": (keyed(chat("utf8").replace(b"utf8", b"\xff\xfe")), "undecodable"),
    "empty value": (keyed(b""), "undecodable"),
    "null value": (keyed(None), "undecodable"),
    "10,000 deep": (keyed(b"[" * 10_000 + b"]" * 10_000), "undecodable"),
    "no object": (keyed(json.dumps([CANARY]).encode()), "invalid"),
    "missing field": (keyed(json.dumps({"id": "m", "type": "chat"}).encode()), "invalid"),
    "extra field": (keyed(chat("extra", unknown=CANARY)), "invalid"),
    "wrong type of a field": (keyed(chat("typed", messages=CANARY)), "invalid"),
    "number not in JSON": (keyed(chat("nan", temperature=float("nan"))), "undecodable"),
    "lone surrogate": (keyed(chat("surrogate", "\ud800")), "undecodable"),
    "a key twice": (keyed(chat("double").replace(b"{", b'{"id": "d", ', 1)), "undecodable"),
    "unknown type": (keyed(chat("unknown", type=CANARY)), "unknown_type"),
    "type missing": (keyed(json.dumps({"text": CANARY}).encode()), "invalid"),
    "expired": (keyed(chat("expired", deadline="2020-01-01T00:00:00Z")), "expired"),
    "answer above 1 MB": (keyed(chat("huge", '[[fake:{"size": 1100000}]]')), "too_large"),
    "refused by the provider": (keyed(chat("400", '[[fake:{"status": 400}]]')), "rejected"),
    "900 kB": (keyed(chat("long", "x" * 900_000)), OK),
    "no key": (Record(chat("keyless")), OK),
    "empty key": (Record(chat("empty-key"), b""), OK),
    "headers twice": (keyed(chat("headers"), ("h", b"1"), ("h", b"\xff"), ("", b"")), OK),
    "any Unicode": (keyed(chat("ü\x00\u202e🙂", "ü\x00\u202e🙂")), OK),
    "no id": (keyed(json.dumps(json.loads(chat("x")) | {"id": None}).encode()), OK),
    "first of an id": (keyed(chat("twice")), OK),
    "its repeat": (keyed(chat("twice")), OK),
    "its other content": (keyed(chat("twice", "other")), "invalid"),
    "key at the broker's limit": (Record(chat("long-key"), b"k" * 1_045_000), "too_large"),
    "bad, with such a key": (Record(b"{", b"k" * 1_045_000), "undecodable"),
    "trace of a megabyte": (keyed(chat("trace"), ("baggage", b"x" * 1_040_000)), OK),
}


def _position(outcome: Outcome) -> int:
    """The input offset that a dead letter names."""
    return int(dict(outcome.headers)["__streams.errors.offset"])


def outcomes(stage: Stage) -> list[Outcome]:
    """Return what was read so far."""
    return [outcome for some in stage.verifier.outcomes.values() for outcome in some]


async def test_every_bad_record_ends_in_its_own_way(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Dead letters carry kind, position and the original bytes, and leak nothing."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        records = [record for record, _ in ROWS.values()]

        await stage.produce(records)
        await stage.produce([ask("behind-them")])
        # All that is committed is not all that is read here: the largest inputs take their time.
        await stage.verifier.until(lambda: len(outcomes(stage)) > len(ROWS), 60)
        await stage.verifier.all_committed(60)

        found = outcomes(stage)
        assert worker.alive
        calls = [call for call in stage.calls() if call.id == "twice"]

    dead = {_position(outcome): outcome for outcome in found if outcome.kind}
    ends = {name: dead[offset].kind if offset in dead else OK for offset, name in enumerate(ROWS)}
    assert ends == {name: end for name, (_, end) in ROWS.items()}
    assert len(found) == len(ROWS) + 1
    assert not stage.report().missing
    for offset, outcome in dead.items():
        if "streamapp.key" in dict(outcome.headers):
            assert (outcome.key, outcome.value) == (None, b"")
        else:
            assert (outcome.key, outcome.value) == (records[offset].key, records[offset].value)
        assert not [h for h in outcome.headers if CANARY.encode() in h[1]], outcome.headers
    log = worker.log.read_text(errors="replace")
    assert CANARY not in log
    assert API_KEY not in log
    repeated = [outcome.value for outcome in stage.verifier.outcomes["twice"] if not outcome.kind]
    assert len(repeated) == 2
    assert len(set(repeated)) == 1
    assert len(calls) == 1
