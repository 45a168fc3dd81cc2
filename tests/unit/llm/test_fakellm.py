"""The fake server does what its script says, in a test and as a process."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.fakellm import FakeLLM
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]


async def post(base_url: str, text: str, **fields: Any) -> tuple[int, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}/chat/completions", json=body) as response,
    ):
        return response.status, await response.json()


async def control(base_url: str, method: str, path: str, **fields: Any) -> Any:
    url = base_url.removesuffix("/v1") + path
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, **fields) as response,
    ):
        return await response.json()


async def test_marker_in_the_text_is_played_per_text(server: FakeLLM) -> None:
    """A marker in a message scripts the requests with that text, its last outcome repeating."""
    texts = [f'{name} [[fake:[{{"status": 503}}, {{}}]]]' for name in ("a", "b")]

    seen = [(await post(server.base_url, text))[0] for text in [*texts, *texts, *texts]]

    assert seen == [503, 503, 200, 200, 200, 200]


async def test_held_requests_wait_until_they_are_let_go(server: FakeLLM) -> None:
    """All of them are in progress until then, and those that still come are not held."""
    server.default(held=True)
    asking = [asyncio.create_task(post(server.base_url, text)) for text in ("a", "b")]
    await until(lambda: server.counts["in_flight"] == 2, 30)
    assert not any(task.done() for task in asking)

    server.let_go()

    assert [status for status, _ in await asyncio.gather(*asking)] == [200, 200]
    assert (await post(server.base_url, "c"))[0] == 200


async def test_rules_match_in_order(server: FakeLLM) -> None:
    """The first rule whose substring is in the messages plays; others get the default."""
    server.script({"text": "one"}, match="needle")
    server.script({"text": "two"}, match="need")
    server.default(text="three")

    texts = [(await post(server.base_url, text))[1] for text in ("needle", "need", "other")]

    assert [t["choices"][0]["message"]["content"] for t in texts] == ["one", "two", "three"]


async def test_rule_can_count_per_request(server: FakeLLM) -> None:
    """A rule counts over all its requests, or for each request body on its own."""
    server.script({"status": 500}, {}, per_request=True)

    seen = [(await post(server.base_url, text))[0] for text in ("a", "b", "a", "b")]

    assert seen == [500, 500, 200, 200]


async def test_rate_limit_answers_429(server: FakeLLM) -> None:
    """Past its bucket the server answers 429 and says when to come back."""
    server.limit(0.001, burst=2, retry_after_s=1.5)

    seen = [(await post(server.base_url, "x"))[0] for _ in range(3)]

    assert seen == [200, 200, 429]
    assert [call.status for call in server.calls] == [200, 200, 429]


async def test_call_log_tells_calls_apart(server: FakeLLM) -> None:
    """The log has one entry per call, with the same hash for the same body alone."""
    for text in ("a", "b", "a"):
        await post(server.base_url, text)

    first, second, third = await control(server.base_url, "GET", "/_calls")
    assert first["body_hash"] == third["body_hash"] != second["body_hash"]
    assert [call["message"] for call in (first, second, third)] == ["a", "b", "a"]
    assert [call["n"] for call in (first, second, third)] == [0, 1, 2]
    assert (await control(server.base_url, "GET", "/_calls/count"))["total"] == 3


async def test_control_scripts_and_resets(server: FakeLLM) -> None:
    """The control endpoints script the server and make it forget everything."""
    script = {"rules": [{"match": "x", "outcomes": [{"status": 418}]}], "default": {"status": 404}}
    await control(server.base_url, "POST", "/_script", json=script)
    scripted = [(await post(server.base_url, text))[0] for text in ("x", "y")]

    await control(server.base_url, "POST", "/_reset")

    assert scripted == [418, 404]
    assert server.calls == []
    assert (await post(server.base_url, "x"))[0] == 200


async def test_process_says_where_it_listens_and_stops() -> None:
    """As a process it prints its URL once it listens and ends on SIGTERM with exit 0."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.fakellm", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        base_url = json.loads(await process.stdout.readline())["base_url"]
        status, _ = await post(base_url, "x")
    finally:
        process.send_signal(signal.SIGTERM)

    assert status == 200
    assert await process.wait() == 0


@pytest.mark.parametrize("path", ["/v1/models", "/nowhere"])
async def test_other_paths_are_answered(path: str, server: FakeLLM) -> None:
    """Models are listed; an unknown path is an error in OpenAI's shape."""
    answer = await control(server.base_url, "GET", path)

    assert answer.keys() & {"data", "error"}
