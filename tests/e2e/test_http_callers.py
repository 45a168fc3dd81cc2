"""Callers of one real worker: many streams at once, and two tenants side by side."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.usage import UsageLog
from streamapp.settings.keys import digest_of
from streamapp.streaming.broker.embedded import EmbeddedBroker
from streamapp.streaming.dead_letters.service import NEWEST
from tests.support.dead_letters import Pairs, headers_of
from tests.support.fakellm import FakeLLM
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

KEY = "sk-everything"
TENANTS = {"shop": "sk-shop", "desk": "sk-desk"}
#: May use the route `small` alone.
SMALL = "sk-small"
ROUTES = """
[providers.openai]
kind = "openai"
base_url = "{base_url}"
api_key_env = "OPENAI_API_KEY"
[models.default]
targets = ["openai/fake-model"]
[models.small]
targets = ["openai/small-model"]
"""
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


@dataclass(frozen=True)
class World:
    """A worker, the provider behind it, and a client of everything."""

    worker: WorkerProcess
    provider: FakeLLM
    http: aiohttp.ClientSession
    broker: str

    async def ask(
        self, method: str, path: str, *, key: str = KEY, **kwargs: Any
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Return status, parsed body and headers."""
        headers = {"Authorization": f"Bearer {key}", **kwargs.pop("headers", {})}
        async with self.http.request(method, path, headers=headers, **kwargs) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(text) if is_json else text, response.headers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One worker with keys of two tenants, on the embedded broker."""
    home = tmp_path_factory.mktemp("clients")
    keys = [
        f'[keys.{name}]\nkey_sha256 = "{digest_of(key).hex()}"\ntenant = "{name}"\n'
        'scopes = ["infer", "read", "replay"]\n'
        for name, key in TENANTS.items()
    ]
    keys.append(
        f'[keys.small]\nkey_sha256 = "{digest_of(SMALL).hex()}"\n'
        'scopes = ["infer"]\nmodels = ["small"]\n'
    )
    async with FakeLLM(default={"calls": 1}) as provider:
        routes = ROUTES.format(base_url=provider.base_url)
        (home / "streamapp.toml").write_text("\n".join([routes, *keys]))
        with EmbeddedBroker() as broker:
            settings = {
                "STREAMAPP_BROKER": broker.url,
                "STREAMAPP_CONFIG": str(home / "streamapp.toml"),
                "STREAMAPP_API_KEYS": KEY,
                "OPENAI_API_KEY": "sk-provider",
            }
            worker = WorkerProcess(home / "worker", settings, forked=False)
            worker.start()
            connector = aiohttp.TCPConnector(limit=0)
            url = f"http://127.0.0.1:{worker.port}"
            try:
                await worker.wait_ready()
                async with aiohttp.ClientSession(
                    url, connector=connector, timeout=aiohttp.ClientTimeout(total=300)
                ) as http:
                    yield World(worker, provider, http, broker.url.removeprefix("kafka://"))
            finally:
                worker.kill9()


@dataclass
class Streamed:
    """What came of one stream."""

    text: str
    calls: list[dict[str, str]]
    finish_reason: str | None


async def streamed(world: World, number: int) -> Streamed:
    """Ask for a stream: odd ones for text, even ones for three calls with an argument of theirs."""
    has_tools = number % 2 == 0
    schema = {
        "type": "object",
        "properties": {"id": {"const": f"stream-{number}"}},
        "required": ["id"],
    }
    tool = {"type": "function", "function": {"name": f"f{number}", "parameters": schema}}
    body = {
        "messages": [{"role": "user", "content": f'stream-{number} [[fake:{{"calls": 3}}]]'}],
        "stream": True,
        **({"tools": [tool]} if has_tools else {}),
    }
    found = Streamed("", [], None)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with world.http.post("/v1/chat/completions", json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        async for line in response.content:
            data = line.removeprefix(b"data: ").strip()
            if not data or data == b"[DONE]":
                continue
            (choice,) = json.loads(data)["choices"]
            found.text += choice["delta"].get("content") or ""
            found.finish_reason = choice["finish_reason"] or found.finish_reason
            for part in choice["delta"].get("tool_calls") or ():
                if "id" in part:
                    assert part["index"] == len(found.calls)
                    found.calls.append({"id": part["id"], **part["function"]})
                else:
                    found.calls[part["index"]]["arguments"] += part["function"]["arguments"]
    return found


STREAMS = 500
#: Most memory that the streams may add to the worker: what they hold is their chunks.
MOST_MB = 150


async def test_many_streams_keep_their_own_order(world: World) -> None:
    """500 streams at once, half of them with calls: each has its own content, in order."""
    usage = UsageLog(world.worker.pid)
    usage.take()
    following = asyncio.create_task(usage.follow())

    found = await asyncio.gather(*(streamed(world, number) for number in range(STREAMS)))

    following.cancel()
    for number, one in enumerate(found):
        if number % 2:
            assert one.text == f'answer to: stream-{number} [[fake:{{"calls": 3}}]]'[:51]
            assert (one.calls, one.finish_reason) == ([], "stop")
        else:
            arguments = json.dumps({"id": f"stream-{number}"}, separators=(",", ":"))
            assert one.calls == [
                {"id": f"call_fake_{place}", "name": f"f{number}", "arguments": arguments}
                for place in range(3)
            ]
            assert (one.text, one.finish_reason) == ("", "tool_calls")
    assert usage.peak_mb() - usage.samples[0].rss_mb < MOST_MB


async def test_client_that_leaves_ends_its_calls(world: World) -> None:
    """Streams that nobody reads any more are calls that nobody pays for any longer."""
    before = world.provider.counts["aborted"]
    marker = '[[fake:{"hang": "body", "calls": 1}]]'
    paths: Mapping[str, Any] = {
        "/v1/chat/completions": {"messages": [{"role": "user", "content": marker}]},
        "/v1/completions": {"prompt": marker},
        "/v1/responses": {"input": marker},
    }
    headers = {"Authorization": f"Bearer {KEY}"}
    for path, body in paths.items():
        async with world.http.post(path, json=body | {"stream": True}, headers=headers) as response:
            assert await response.content.readline()
            response.close()

    await until(lambda: world.provider.counts["aborted"] == before + len(paths), 30)


async def test_tenants_learn_nothing_of_one_another(world: World) -> None:
    """Whatever a key of one tenant tries, another's records read as such that are not there."""
    shop, desk = TENANTS.values()
    record = {"type": "chat", "messages": [{"role": "user", "content": "a secret of the shop"}]}
    post: dict[str, Any] = {"params": {"wait": "60"}, "headers": {"Idempotency-Key": "r1"}}
    status, own, _ = await world.ask("POST", "/v1/requests", key=shop, json=record, **post)
    assert (status, own["status"]) == (200, "ok")
    dead = {**record, "model": "default", "messages": [{"role": "user", "content": DEAD}]}
    post["headers"] = {"Idempotency-Key": "dead"}
    status, lost, _ = await world.ask("POST", "/v1/requests", key=shop, json=dead, **post)
    assert (status, lost["status"]) == (200, "dead")

    # Read: by its own name, by the owner's full one, or as one that never was.
    unknown = await world.ask("GET", "/v1/requests/never", key=desk)
    for id in ("r1", "shop:r1", "dead", "shop:dead"):
        assert (await world.ask("GET", f"/v1/requests/{id}", key=desk))[:2] == unknown[:2]
    assert unknown[0] == 404

    # Answer: the same id is another record, and its bytes are not compared.
    other = {**record, "messages": [{"role": "user", "content": "of the desk"}]}
    post["headers"] = {"Idempotency-Key": "r1"}
    status, mine, _ = await world.ask("POST", "/v1/requests", key=desk, json=other, **post)
    assert (status, mine["id"], mine["output"]) == (200, "desk:r1", "answer to: of the desk")

    # List and replay: none of the other's, and its places are as empty as any.
    _, listed, _ = await world.ask("GET", "/v1/dead-letters", key=desk)
    _, owned, _ = await world.ask("GET", "/v1/dead-letters", key=shop)
    assert (listed["dead_letters"], listed["looked_at"], listed["complete"]) == ([], 0, False)
    (letter,) = owned["dead_letters"]
    places = [
        {"partition": letter["partition"], "offset": letter["offset"]},
        {"partition": letter["partition"], "offset": letter["offset"] + 1_000},
    ]
    before = len(world.provider.calls)
    _, replayed, _ = await world.ask(
        "POST", "/v1/dead-letters/replay", key=desk, json={"places": places}
    )
    assert len({result["result"] for result in replayed["results"]}) == 1
    assert len(world.provider.calls) == before

    # Cache: an equal question is asked anew, and does not say that it was asked before.
    chat = {"messages": [{"role": "user", "content": "equal"}], "cache": True}
    for key in (shop, desk):
        status, _, headers = await world.ask("POST", "/v1/chat/completions", key=key, json=chat)
        assert (status, headers.get("X-Streamapp-Cache")) == (200, None)

    # Names: another's tenant, and what shows everybody.
    named = chat | {"metadata": {"tenant": "shop"}}
    status, _, _ = await world.ask("POST", "/v1/chat/completions", key=desk, json=named)
    assert status == 403
    group = ("/v1/workers", "/v1/live?count=1", "/metrics", "/v1/history", "/v1/flows")
    for path in (*group, f"/v1/cache/{'0' * 32}", "/v1/prompts/summarize/stats"):
        status, _, _ = await world.ask("GET", path, key=desk)
        assert status == 403, path


async def test_tenant_sees_its_dead_letters_behind_those_of_others(world: World) -> None:
    """What others have takes no place in a tenant's list; of its own it is the newest ones."""

    def dead_letter(tenant: str, number: int) -> tuple[bytes, Pairs]:
        record = {"type": "chat", "messages": [], "metadata": {"tenant": tenant}}
        headers = headers_of(f"{tenant}-{number}", offset=number)
        return json.dumps(record).encode(), headers

    # Two of its own, then as many of somebody else as are looked at, and more.
    await produced(world, [dead_letter("shop", number) for number in range(2)])
    await produced(world, [dead_letter("other", number) for number in range(3 * NEWEST)])

    def ids(body: Any) -> list[str]:
        return [one["id"] for one in body["dead_letters"]]

    path = "/v1/dead-letters?q=shop-"
    _, own, _ = await world.ask("GET", path, key=TENANTS["shop"])
    _, one, _ = await world.ask("GET", f"{path}&limit=1", key=TENANTS["shop"])
    _, narrow, _ = await world.ask("GET", f"{path}&until=1h", key=TENANTS["shop"])
    _, other, _ = await world.ask("GET", "/v1/dead-letters?q=other-", key=TENANTS["desk"])
    assert ids(own) == ["shop-1", "shop-0"]
    assert (ids(one), ids(narrow), ids(other)) == (["shop-1"], [], [])


async def produced(world: World, dead_letters: Sequence[tuple[bytes, Pairs]]) -> None:
    """Write to one partition of the dead-letter topic, in order."""
    producer = AIOKafkaProducer(bootstrap_servers=world.broker, linger_ms=20)
    await producer.start()
    try:
        for value, headers in dead_letters:
            await producer.send("llm.requests-dlt", value, partition=0, headers=headers)
        await producer.flush()
    finally:
        await producer.stop()


async def test_prompt_is_no_way_around_the_models_of_a_key(world: World) -> None:
    """What a prompt asks for is held to the key's own routes, at once and by the topic."""
    for name, model in (("large", "default"), ("small", "small")):
        version = {"body": "{{ text }}", "settings": {"model": model}}
        path = f"/v1/prompts/{name}/versions"
        status, _, _ = await world.ask("POST", path, json=version)
        assert status == 201
    before = len(world.provider.calls)

    async def ask(prompt: str, path: str = "/v1/generate") -> tuple[int, Any, Any]:
        record = {"type": "generate", "prompt": prompt, "variables": {"text": "hi"}}
        return await world.ask("POST", path, key=SMALL, json=record)

    status, refused, _ = await ask("large")
    _, dead, _ = await ask("large", "/v1/requests?wait=60")
    assert (status, refused["error"]["code"]) == (403, "forbidden")
    assert (dead["status"], dead["kind"]) == ("dead", "invalid")
    assert len(world.provider.calls) == before

    for path in ("/v1/generate", "/v1/requests?wait=60"):
        status, answer, _ = await ask("small", path)
        assert (status, answer["model"]) == (200, "small-model")


async def test_time_tells_nothing_of_other_tenants(world: World) -> None:
    """An id of another tenant takes as long to be unknown as one that never was."""
    shop, desk = TENANTS.values()
    record = {"type": "chat", "messages": [{"role": "user", "content": "timed"}]}
    post: dict[str, Any] = {"params": {"wait": "60"}, "headers": {"Idempotency-Key": "timed"}}
    await world.ask("POST", "/v1/requests", key=shop, json=record, **post)
    took_s: dict[str, list[float]] = {"shop:timed": [], "shop:never": []}
    for _ in range(60):
        for id, times in took_s.items():
            begun = time.perf_counter()
            await world.ask("GET", f"/v1/requests/{id}", key=desk)
            times.append(time.perf_counter() - begun)

    # The fastest of each: a machine that does other things adds to some, and takes from none.
    there, never = (min(times) for times in took_s.values())
    assert 0.5 < there / never < 2


async def test_usage_is_told_by_key(world: World) -> None:
    """What a named key has used is counted under its name, and no key is among the labels."""
    chat = {"messages": [{"role": "user", "content": "counted"}]}
    for path, body in {
        "/v1/chat/completions": chat,
        "/v1/completions": {"prompt": "counted"},
        "/v1/responses": {"input": "counted"},
    }.items():
        before = await tokens_of(world, "shop")
        status, _, _ = await world.ask("POST", path, key=TENANTS["shop"], json=body)
        assert status == 200
        assert await tokens_of(world, "shop") > before, path
    before = await tokens_of(world, "shop")
    record = {"type": "chat", **chat, "cache": False}
    post: dict[str, Any] = {"params": {"wait": "60"}, "json": record}
    status, _, _ = await world.ask("POST", "/v1/requests", key=TENANTS["shop"], **post)
    assert (status, await tokens_of(world, "shop") > before) == (200, True), "by the topic"
    _, text, _ = await world.ask("GET", "/metrics")
    assert "sk-" not in text
    bills = await usage_of(world, "shop")
    assert sum(one["calls"] for one in bills) >= 4
    assert {one["tenant"] for one in bills} == {"shop"}


async def usage_of(world: World, key: str) -> list[dict[str, Any]]:
    """Return the usage records of a key, once the calls of the test are among them."""
    found: list[dict[str, Any]] = []
    consumer = AIOKafkaConsumer(
        "llm.usage", bootstrap_servers=world.broker, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        async with asyncio.timeout(60):
            while sum(one["calls"] for one in found) < 4:
                record = json.loads((await consumer.getone()).value)
                found += [record] if record["api_key"] == key else []
    finally:
        await consumer.stop()
    return found


async def tokens_of(world: World, key: str) -> float:
    """Return the tokens that are counted for a key."""
    _, text, _ = await world.ask("GET", "/metrics")
    lines = [line for line in text.splitlines() if line.startswith("streamapp_key_tokens_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if f'key="{key}"' in line)


DEAD = 'refused [[fake:{"status": 400}]]'
