"""The dashboard's own sources: the live stream, the dead letters, the metrics."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from aiokafka.errors import KafkaConnectionError

from streamapp.streaming.dead_letters.stored import Filter

from .conftest import FakeDeadLetters, FakeWorkerSnapshots, Serve, Site

BEARER = {"Authorization": "Bearer sk-two"}
GONE = "http://127.0.0.1:1"


def events(text: str) -> list[tuple[str, Any]]:
    """Return name and data of each server-sent event."""
    blocks = [block.split("\n", 1) for block in text.split("\n\n") if block]
    return [(name.removeprefix("event: "), json.loads(data[6:])) for name, data in blocks]


async def test_live_sends_outcomes_then_numbers(
    serve: Serve, snapshots: FakeWorkerSnapshots
) -> None:
    """A follower gets what is kept, then what happened since; ``count`` ends it."""
    site = await serve()
    snapshots.outcomes = [{"id": "a"}]

    status, text, _ = await site("GET", "/v1/live?count=2")

    assert status == 200
    assert [name for name, _ in events(text)] == ["outcomes", "workers", "workers"]
    assert events(text)[0][1] == [{"id": "a"}]


async def test_live_ends_where_the_worker_stops(
    serve: Serve, snapshots: FakeWorkerSnapshots
) -> None:
    """Somebody who looks on does not hold up a stop."""
    site = await serve()
    snapshots.is_draining = True

    async with asyncio.timeout(60):
        status, text, _ = await site("GET", "/v1/live")

    assert status == 200
    assert text.count("event: workers") == 1


@pytest.fixture
async def group(serve: Serve) -> tuple[Site, FakeWorkerSnapshots, str]:
    """A worker, what another one of its group says, and the address of that; one does not answer.

    They ask for keys, and the first one is how workers know one another.
    """
    other = FakeWorkerSnapshots(in_flight=7)
    keys = {"api_keys": "sk-one,sk-two"}
    there = await serve(own_snapshots=other, **keys)
    own = FakeWorkerSnapshots(there.url, GONE)
    return await serve(own_snapshots=own, **keys), other, there.url


async def test_any_worker_tells_of_all(group: tuple[Site, FakeWorkerSnapshots, str]) -> None:
    """Numbers of each, with its partitions; nothing of one that does not answer."""
    site, _, url = group

    status, body, _ = await site("GET", "/v1/workers", headers=BEARER)

    assert status == 200
    told = [
        (w["url"], w["partitions"], w["now"] and w["now"]["in_flight"]) for w in body["workers"]
    ]
    assert told == [("own", [0], 0), (url, [1], 7), (GONE, [1], None)]


async def test_address_of_several_workers_is_told_as_such(
    serve: Serve, snapshots: FakeWorkerSnapshots
) -> None:
    """They are one row, which is not taken for one worker."""
    snapshots.sharing = {"own": 3}
    site = await serve()

    _, body, _ = await site("GET", "/v1/workers")

    assert [(w["url"], w["members"]) for w in body["workers"]] == [("own", 3)]


async def test_live_follows_all_workers(group: tuple[Site, FakeWorkerSnapshots, str]) -> None:
    """What ended at another worker is told once; one that was started again counts from 1."""
    site, other, _ = group
    other.outcomes = [{"id": "a"}, {"id": "b"}]
    ids = []

    async with (
        aiohttp.ClientSession(headers=BEARER) as http,
        http.get(f"{site.url}/v1/live") as response,
    ):
        async for line in response.content:
            if line.startswith(b'data: [{"id"'):
                ids += [outcome["id"] for outcome in json.loads(line[6:])]
                other.outcomes = [{"id": "c"}]
            if "c" in ids:
                break

    assert ids == ["a", "b", "c"]


async def test_others_are_asked_once_however_many_look_on(
    group: tuple[Site, FakeWorkerSnapshots, str],
) -> None:
    """Many dashboards cost the group what one costs."""
    site, other, _ = group
    other.outcomes = [{"id": "a"}]

    texts = await asyncio.gather(
        *(site("GET", "/v1/live?count=2", headers=BEARER) for _ in range(5))
    )

    # With the second look at the latest: on a loaded machine the first one waits for nobody.
    told = [event for _, text, _ in texts for event in events(text) if event[0] == "outcomes"]
    assert told == [("outcomes", [{"id": "a"}])] * 5


@pytest.mark.parametrize("count", ["x", "-1", "1.5", "9" * 30])
async def test_count_is_a_number(serve: Serve, count: str) -> None:
    """Anything else is refused by name."""
    site = await serve()

    status, body, _ = await site("GET", f"/v1/live?count={count}")

    assert (status, body["error"]["param"]) == (422, "count")


async def test_metrics_are_prometheus_text(serve: Serve) -> None:
    """A scraper finds the text format."""
    site = await serve()

    status, text, headers = await site("GET", "/metrics")

    assert (status, text) == (200, "streamapp_in_flight 0.0\n")
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")


async def test_dead_letters_are_filtered(serve: Serve, dead_letters: FakeDeadLetters) -> None:
    """Each parameter is a condition; the newest come first, up to the limit."""
    site = await serve()
    dead_letters.dead_letters = [{"id": "a"}, {"id": "b"}]

    query = "kind=expired&kind=invalid&type=chat&id=r&q=x&limit=1&until=2030-01-01&since=1700000000"
    status, body, _ = await site("GET", f"/v1/dead-letters?{query}")

    told = {"dead_letters": [{"id": "a"}], "looked_at": 7, "foreign": 2, "complete": False}
    assert (status, body) == (200, told)
    assert dead_letters.asked[0] == Filter(
        kinds=["expired", "invalid"],
        types=["chat"],
        ids=["r"],
        text="x",
        since=1_700_000_000,
        until=1_893_456_000,
    )


async def test_time_that_is_none_is_refused(serve: Serve) -> None:
    """The parameter is named, and what to write."""
    site = await serve()

    status, body, _ = await site("GET", "/v1/dead-letters?since=yesterday")

    assert (status, body["error"]["param"]) == (422, "since")
    assert "write an age like 30m" in body["error"]["message"]


async def test_kind_that_is_none_is_refused(serve: Serve, dead_letters: FakeDeadLetters) -> None:
    """An empty list would say that there are none; the kinds there are are named."""
    site = await serve()

    status, body, _ = await site("GET", "/v1/dead-letters?kind=invalid&kind=retry_exhausted")

    assert (status, body["error"]["param"]) == (422, "kind")
    said = "kind: there is no such kind, did you mean 'retries_exhausted'?; there are undecodable,"
    assert body["error"]["message"].startswith(said)
    assert not dead_letters.asked


async def test_replay_that_takes_longer_than_a_request_may_is_refused(serve: Serve) -> None:
    """Nothing is begun that would be cut off half way."""
    site = await serve()
    places = [{"partition": 0, "offset": n} for n in range(100)]

    status, body, _ = await site(
        "POST", "/v1/dead-letters/replay", json={"places": places, "rate_per_s": 1}
    )

    assert (status, body["error"]["param"]) == (422, "rate_per_s")


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1e9", "9" * 30])
async def test_limit_is_a_small_number(serve: Serve, limit: str) -> None:
    """Anything else is refused by name."""
    site = await serve()

    status, body, _ = await site("GET", f"/v1/dead-letters?limit={limit}")

    assert (status, body["error"]["param"]) == (422, "limit")


async def test_broker_that_does_not_answer_is_503(
    serve: Serve, dead_letters: FakeDeadLetters
) -> None:
    """A look that fails is no bug of ours."""
    site = await serve()
    dead_letters.failure = KafkaConnectionError()

    status, body, headers = await site("GET", "/v1/dead-letters")

    assert (status, body["error"]["code"]) == (503, "broker")
    assert "Retry-After" in headers


async def test_replay_names_each_result(serve: Serve, dead_letters: FakeDeadLetters) -> None:
    """Places are sent once each, at the rate asked for."""
    site = await serve()
    place = {"partition": 1, "offset": 2}

    status, body, _ = await site(
        "POST", "/v1/dead-letters/replay", json={"places": [place, place], "rate_per_s": 5}
    )

    assert (status, body) == (200, {"results": [{**place, "result": "sent"}]})
    assert dead_letters.replayed == [((1, 2), 5)]


@pytest.mark.parametrize("body", [{"places": []}, {"places": [{"partition": -1, "offset": 0}]}, {}])
async def test_wrong_replay_is_refused(
    serve: Serve, dead_letters: FakeDeadLetters, body: dict[str, object]
) -> None:
    """Nothing is sent for a body that names no places."""
    site = await serve()

    status, _, _ = await site("POST", "/v1/dead-letters/replay", json=body)

    assert status == 422
    assert dead_letters.replayed == []


async def test_dead_letters_are_those_of_one_flow(
    serve: Serve, dead_letters: FakeDeadLetters
) -> None:
    """The parameter `flow` names it, in a list and in a replay; an unknown one is named."""
    site = await serve()
    await site("GET", "/v1/dead-letters?flow=labels")
    places = [{"partition": 1, "offset": 2}]
    await site("POST", "/v1/dead-letters/replay", json={"places": places, "flow": "labels"})
    await site("GET", "/v1/dead-letters")
    status, body, _ = await site("GET", "/v1/dead-letters?flow=nothing")

    assert dead_letters.of_flows == ["labels", "labels", "requests"]
    assert (status, body["error"]["param"]) == (422, "flow")
    assert "requests, labels" in body["error"]["message"]


PLACE = {"partition": 1, "offset": 2}


async def test_corrected_record_is_sent_in_its_place(
    serve: Serve, dead_letters: FakeDeadLetters
) -> None:
    """It goes as it was written, long numbers too, and the answer tells where it stands."""
    site = await serve()
    record = '{\n  "type": "echo", "metadata": {"n": 12345678901234567890}\n}'

    status, body, _ = await site(
        "POST", "/v1/dead-letters/edit", json={"place": PLACE, "record": record}
    )

    sent_to = {"topic": "llm.requests", "partition": 3, "offset": 12}
    assert (status, body) == (200, {"result": "sent", "sent_to": sent_to})
    assert dead_letters.corrected == [((1, 2), record.encode())]


async def test_what_is_not_sent_says_why(serve: Serve, dead_letters: FakeDeadLetters) -> None:
    """One that was sent again before is no error, and goes nowhere."""
    site = await serve()
    dead_letters.verdict = "replayed"

    status, body, _ = await site(
        "POST", "/v1/dead-letters/edit", json={"place": PLACE, "record": '{"type": "echo"}'}
    )

    assert (status, body) == (200, {"result": "replayed", "sent_to": None})


@pytest.mark.parametrize("record", ["", "{", "[]", '{"type": "echo", "x": 1}'], ids=repr)
async def test_record_that_would_fail_again_is_refused(
    serve: Serve, dead_letters: FakeDeadLetters, record: str
) -> None:
    """What is wrong with it is told before anything is sent."""
    site = await serve()

    status, body, _ = await site(
        "POST", "/v1/dead-letters/edit", json={"place": PLACE, "record": record}
    )

    assert status == 422, body
    assert dead_letters.corrected == []
