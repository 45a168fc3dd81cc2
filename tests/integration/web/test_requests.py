"""`/v1/requests`: records over HTTP, and what became of them, asked at any worker."""

import asyncio
import json
from typing import Any

import pytest
from pydantic import SecretStr

from streamapp.errors import DeliveryFailed
from streamapp.records.codec import parse
from streamapp.streaming.app.health import Check
from streamapp.streaming.delivery.ledger_entry import digest
from streamapp.streaming.delivery.request_status import RequestStatus, Status
from tests.support.process import free_port
from tests.support.waiting import until

from .conftest import FakeHealth, FakeRequestProducer, Serve

RECORD = {"type": "echo", "text": "hi"}
STEP = {"number": "1", "kind": "model", "name": "m", "outcome": "running", "duration_s": 0.2}
ANSWER = b'{"id":"a","status":"ok","output":"hello"}'


async def test_record_is_written_and_202(serve: Serve, producer: FakeRequestProducer) -> None:
    """The id, made up where the record has none, comes back and stands in what is written."""
    site = await serve()

    status, body, headers = await site(
        "POST", "/v1/requests", json=RECORD, headers={"Streamapp-Key": "k"}
    )

    id, key, value = producer.posted[0]
    assert (status, body) == (202, {"id": id, "status": "pending"})
    assert (key, json.loads(value)) == (b"k", {"id": id, **RECORD})
    assert headers["Location"] == f"/v1/requests/{id}"


async def test_idempotency_key_is_the_id(serve: Serve, producer: FakeRequestProducer) -> None:
    """The same key twice is the same record twice: same id, same bytes."""
    site = await serve()

    for _ in range(2):
        await site("POST", "/v1/requests", json=RECORD, headers={"Idempotency-Key": "mine"})

    assert [posted[0] for posted in producer.posted] == ["mine", "mine"]
    assert producer.posted[0] == producer.posted[1]


@pytest.mark.parametrize("header", [None, "mine"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"echo","id":null}',
        b' {"type":"echo"}',
        b'\xef\xbb\xbf{"type":"echo"}',
        b'\xef\xbb\xbf {"id":null,"type":"echo"}',
        b'{"type":"echo","variables":{"id":null}}',
        b'\xef\xbb\xbf{"type":"echo","id":"mine"}',
    ],
)
async def test_what_is_written_is_a_record_with_its_id(
    serve: Serve, producer: FakeRequestProducer, body: bytes, header: str | None
) -> None:
    """Whatever is accepted can be read again by the worker that takes it, under the id told."""
    site = await serve()
    headers = {"Idempotency-Key": header} if header else {}

    status, answer, _ = await site("POST", "/v1/requests", data=body, headers=headers)

    ((id, _, value),) = producer.posted
    assert (status, answer["id"]) == (202, id)
    assert parse(value) == parse(body) | {"id": id}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (RECORD | {"id": "a"}, {"Idempotency-Key": "b"}),
        (RECORD, {"Idempotency-Key": "x" * 201}),
        ([RECORD], {}),
    ],
    ids=["two ids", "long id", "no object"],
)
async def test_wrong_record_is_refused_before_it_is_written(
    serve: Serve, producer: FakeRequestProducer, body: Any, headers: dict[str, str]
) -> None:
    """The caller hears it now; no dead letter is made of it."""
    site = await serve()

    status, answer, _ = await site("POST", "/v1/requests", json=body, headers=headers)

    assert (status, answer["error"]["code"]) == (422, "invalid")
    assert producer.posted == []


async def test_wait_returns_the_response(serve: Serve, producer: FakeRequestProducer) -> None:
    """A caller that waits gets the response record as soon as it is there."""
    site = await serve()
    value = json.dumps(RECORD | {"id": "a"}).encode()
    asked = asyncio.create_task(site("POST", "/v1/requests?wait=8", data=value))
    await until(lambda: producer.posted, 60)
    producer.words["a"] = RequestStatus(status=Status.OK, body=ANSWER, digest=digest(value))

    status, body, _ = await asked

    assert (status, body) == (200, json.loads(ANSWER))


async def test_wait_ends_with_202(serve: Serve, producer: FakeRequestProducer) -> None:
    """What is not answered in time is pending, and can be asked for."""
    site = await serve()
    producer.words["a"] = RequestStatus(status=Status.PENDING)

    status, body, _ = await site("POST", "/v1/requests?wait=0.1", json=RECORD | {"id": "a"})

    assert (status, body) == (202, {"id": "a", "status": "pending"})


async def test_worker_that_stops_waits_for_what_it_runs_alone(
    serve: Serve, producer: FakeRequestProducer, health: FakeHealth
) -> None:
    """The others' records are pending at once: their callers may ask the others."""
    site = await serve()
    producer.words |= dict.fromkeys(["mine", "other"], RequestStatus(status=Status.PENDING))
    producer.running.add("mine")
    mine = asyncio.create_task(site("GET", "/v1/requests/mine?wait=60"))
    other = asyncio.create_task(site("GET", "/v1/requests/other?wait=60"))

    health.stopping = True

    status, body, _ = await other
    assert (status, body["status"]) == (200, "pending")
    assert not mine.done()
    producer.words["mine"] = RequestStatus(status=Status.OK, body=ANSWER)
    assert (await mine)[1] == json.loads(ANSWER)


OTHER = "0" * 32


@pytest.mark.parametrize("wait", ["", "?wait=1"], ids=["at once", "waiting"])
@pytest.mark.parametrize("where", ["here", "elsewhere"])
@pytest.mark.parametrize(
    "word",
    [
        RequestStatus(status=Status.OK, body=ANSWER, digest=OTHER),
        RequestStatus(status=Status.PENDING, digest=OTHER),
    ],
    ids=["answered", "pending"],
)
async def test_id_of_other_content_is_refused_before_it_is_written(
    serve: Serve, producer: FakeRequestProducer, word: RequestStatus, where: str, wait: str
) -> None:
    """The answer to another record is nobody's, whether its caller waits or asks for it later."""
    knows = FakeRequestProducer()
    other = await serve(own_inbox=knows)
    site = await serve(others=[other.url])
    (producer if where == "here" else knows).words["a"] = word

    status, body, _ = await site(
        "POST", f"/v1/requests{wait}", json=RECORD, headers={"Idempotency-Key": "a"}
    )

    assert (status, body["error"]["code"]) == (422, "invalid")
    assert "was used before for a record with other content" in body["error"]["message"]
    assert producer.posted == []


async def test_dead_record_may_come_again_with_other_content(
    serve: Serve, producer: FakeRequestProducer
) -> None:
    """It has no answer that could be taken for that of the corrected one."""
    site = await serve()
    producer.words["a"] = RequestStatus(status=Status.DEAD, kind="invalid", digest=OTHER)

    status, _, _ = await site("POST", "/v1/requests", json=RECORD | {"id": "a"})

    assert (status, [id for id, _, _ in producer.posted]) == (202, ["a"])


@pytest.mark.parametrize("used", ["before", "in the batch"])
async def test_line_with_an_id_of_other_content_is_named(
    serve: Serve, producer: FakeRequestProducer, used: str
) -> None:
    """Nothing of the batch is written; the same line twice is one record."""
    site = await serve()
    lines = [b'{"type":"echo","id":"b"}', b'{"type":"echo","id":"b"}', b'{"type":"echo","id":"a"}']
    if used == "before":
        producer.words["a"] = RequestStatus(status=Status.PENDING, digest=OTHER)
    else:
        lines[2] = b'{"type":"echo","id":"b","text":"x"}'
    headers = {"Content-Type": "application/jsonl"}

    status, body, _ = await site("POST", "/v1/requests", data=b"\n".join(lines), headers=headers)

    assert (status, producer.posted) == (422, [])
    assert body["error"]["message"].startswith("line 3: id: was used before")


@pytest.mark.parametrize("wait", ["-1", "x", "nan", "inf"])
async def test_wait_is_a_number_of_seconds(serve: Serve, wait: str) -> None:
    """Anything else is refused by name."""
    site = await serve()

    status, body, _ = await site("POST", f"/v1/requests?wait={wait}", json=RECORD)

    assert (status, body["error"]["param"]) == (422, "wait")


async def test_lines_are_a_batch(serve: Serve, producer: FakeRequestProducer) -> None:
    """Each line is a record; its id is its own or made of the batch's key and its line."""
    site = await serve()
    lines = b'{"type":"echo"}\n\n{"type":"echo","id":"own"}\n'

    status, body, _ = await site(
        "POST",
        "/v1/requests",
        data=lines,
        headers={"Content-Type": "application/jsonl"},
    )

    assert status == 202
    assert body["ids"] == [posted[0] for posted in producer.posted]
    assert body["ids"][1] == "own"


async def test_batch_with_a_wrong_line_is_not_written_at_all(
    serve: Serve, producer: FakeRequestProducer
) -> None:
    """The line is named; the caller corrects it and sends all of them again."""
    site = await serve()

    status, body, _ = await site(
        "POST",
        "/v1/requests",
        data=b'{"type":"echo"}\n{"type":\n',
        headers={"Content-Type": "application/x-ndjson"},
    )

    assert (status, body["error"]["code"]) == (422, "undecodable")
    assert body["error"]["message"].startswith("line 2: ")
    assert producer.posted == []


async def test_batch_ids_follow_the_idempotency_key(
    serve: Serve, producer: FakeRequestProducer
) -> None:
    """A batch sent twice is the same records twice."""
    site = await serve()
    headers = {"Content-Type": "application/jsonl", "Idempotency-Key": "b"}

    await site("POST", "/v1/requests", data=b'{"type":"echo"}\n{"type":"echo"}', headers=headers)

    assert [posted[0] for posted in producer.posted] == ["b-1", "b-2"]


async def test_broker_that_takes_nothing_is_503(
    serve: Serve, producer: FakeRequestProducer
) -> None:
    """A record is never said to be accepted that the broker does not have."""
    site = await serve()
    producer.failure = DeliveryFailed("why")

    status, body, headers = await site("POST", "/v1/requests", json=RECORD)

    assert (status, body["error"]["code"]) == (503, "not_delivered")
    assert "Retry-After" in headers


async def test_worker_in_a_rebalance_writes_records(
    serve: Serve, health: FakeHealth, producer: FakeRequestProducer
) -> None:
    """A record needs a topic, and no partitions of this worker."""
    site = await serve()
    health.ready["assigned"] = Check(False, "waiting for the group", is_excused=True)

    assert (await site("POST", "/v1/requests", json=RECORD))[0] == 202
    assert len(producer.posted) == 1


async def test_unready_worker_writes_nothing(
    serve: Serve, health: FakeHealth, producer: FakeRequestProducer
) -> None:
    """A worker that cannot work sends callers elsewhere."""
    site = await serve()
    health.ready["broker"] = Check(False)

    status, _, _ = await site("POST", "/v1/requests", json=RECORD)

    assert status == 503
    assert producer.posted == []


@pytest.mark.parametrize(
    ("word", "status", "body"),
    [
        (RequestStatus(status=Status.OK, body=ANSWER), 200, json.loads(ANSWER)),
        (RequestStatus(status=Status.PENDING), 200, {"id": "a", "status": "pending"}),
        (
            RequestStatus(status=Status.PENDING, steps=[STEP]),
            200,
            {"id": "a", "status": "pending", "steps": [STEP]},
        ),
        (
            RequestStatus(status=Status.DEAD, kind="expired"),
            200,
            {"id": "a", "status": "dead", "kind": "expired"},
        ),
        (RequestStatus(), 404, None),
    ],
    ids=["answered", "pending", "in steps", "dead", "unknown"],
)
@pytest.mark.parametrize("where", ["here", "elsewhere"])
async def test_id_is_answered_by_any_worker(
    serve: Serve, where: str, word: RequestStatus, status: int, body: Any
) -> None:
    """A worker that does not know asks the others; each state has its own answer."""
    knows, empty = FakeRequestProducer(), FakeRequestProducer()
    knows.words["a"] = word
    keys = SecretStr("first,second")
    other = await serve(own_inbox=knows, api_keys=keys)
    site = (
        other
        if where == "here"
        else await serve(own_inbox=empty, others=[other.url], api_keys=keys)
    )

    got, answer, _ = await site("GET", "/v1/requests/a", headers={"Authorization": "Bearer second"})

    assert got == status
    assert answer == body or answer["error"]["code"] == "not_found"


async def test_workers_that_do_not_answer_are_done_without(serve: Serve) -> None:
    """A dead or foreign address among the workers costs neither an error nor a loop."""
    knows = FakeRequestProducer()
    knows.words["a/ü"] = RequestStatus(status=Status.OK, body=ANSWER)
    ring: list[str] = []
    first = await serve(own_inbox=FakeRequestProducer(), others=ring)
    second = await serve(own_inbox=knows, others=ring)
    ring += [f"http://127.0.0.1:{free_port()}", f"{first.url}/nowhere", first.url, second.url]

    found, _, _ = await first("GET", "/v1/requests/a%2F%C3%BC")
    missing, _, _ = await first("GET", "/v1/requests/b")

    assert (found, missing) == (200, 404)
