"""The dashboard's own sources: the live stream, the dead letters, the metrics."""

import asyncio
import json

import aiohttp
import pytest
from aiokafka.errors import KafkaConnectionError

from .conftest import FakeLetters, FakeSnapshots, Serve


async def test_live_sends_the_worker_then_its_numbers_and_outcomes(
    serve: Serve, snapshots: FakeSnapshots
) -> None:
    """A follower gets what is fixed once, and what happened since."""
    site = await serve()
    snapshots.outcomes = [{"id": "a"}]
    names = []

    async with aiohttp.ClientSession() as http, http.get(f"{site.url}/v1/live") as response:
        async for line in response.content:
            if line.startswith(b"event: "):
                names.append(line[7:].strip().decode())
            if line.startswith(b"data: ") and names[-1] == "outcomes":
                assert json.loads(line[6:]) == [{"id": "a"}]
            if names[-1:] == ["now"]:
                break

    assert names == ["worker", "outcomes", "now"]


async def test_live_ends_where_the_worker_stops(serve: Serve, snapshots: FakeSnapshots) -> None:
    """Somebody who looks on does not hold up a stop."""
    site = await serve()
    snapshots.is_draining = True

    async with asyncio.timeout(5):
        status, text, _ = await site("GET", "/v1/live")

    assert status == 200
    assert text.count("event: now") == 1


async def test_metrics_are_prometheus_text(serve: Serve) -> None:
    """A scraper finds the text format."""
    site = await serve()

    status, text, headers = await site("GET", "/metrics")

    assert (status, text) == (200, "streamapp_in_flight 0.0\n")
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")


async def test_dead_letters_are_filtered(serve: Serve, letters: FakeLetters) -> None:
    """Each parameter is a condition; the newest come first, up to the limit."""
    site = await serve()
    letters.letters = [{"id": "a"}, {"id": "b"}]

    status, body, _ = await site("GET", "/v1/dead-letters?kind=expired&type=chat&q=x&limit=1")

    wanted = letters.asked[0]
    assert (status, body) == (200, {"dead_letters": [{"id": "a"}]})
    assert (wanted.kind, wanted.type, wanted.text) == ("expired", "chat", "x")


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1e9", "9" * 30])
async def test_limit_is_a_small_number(serve: Serve, limit: str) -> None:
    """Anything else is refused by name."""
    site = await serve()

    status, body, _ = await site("GET", f"/v1/dead-letters?limit={limit}")

    assert (status, body["error"]["param"]) == (422, "limit")


async def test_broker_that_does_not_answer_is_503(serve: Serve, letters: FakeLetters) -> None:
    """A look that fails is no bug of ours."""
    site = await serve()
    letters.failure = KafkaConnectionError()

    status, body, headers = await site("GET", "/v1/dead-letters")

    assert (status, body["error"]["code"]) == (503, "broker")
    assert "Retry-After" in headers


async def test_replay_names_each_result(serve: Serve, letters: FakeLetters) -> None:
    """Places are sent once each, at the rate asked for."""
    site = await serve()
    place = {"partition": 1, "offset": 2}

    status, body, _ = await site(
        "POST", "/v1/dead-letters/replay", json={"places": [place, place], "rate_per_s": 5}
    )

    assert (status, body) == (200, {"results": [{**place, "result": "sent"}]})
    assert letters.replayed == [((1, 2), 5)]


@pytest.mark.parametrize("body", [{"places": []}, {"places": [{"partition": -1, "offset": 0}]}, {}])
async def test_wrong_replay_is_refused(
    serve: Serve, letters: FakeLetters, body: dict[str, object]
) -> None:
    """Nothing is sent for a body that names no places."""
    site = await serve()

    status, _, _ = await site("POST", "/v1/dead-letters/replay", json=body)

    assert status == 422
    assert letters.replayed == []
