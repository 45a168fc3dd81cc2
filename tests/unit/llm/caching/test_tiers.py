"""Where cached answers are kept outside of Kafka."""

import asyncio
import contextlib
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from streamapp.cli.place_findings import places
from streamapp.errors import ConfigurationError
from streamapp.llm.caching.cache import CacheTier
from streamapp.llm.caching.tiers import (
    ENTRY_BYTES,
    REDIS_CONNECTIONS,
    MemoryTier,
    RedisTier,
)
from streamapp.settings import Settings
from tests.fakes import FakeClock
from tests.support.absent import absent
from tests.support.redis import RedisServer, RedisUnavailable
from tests.support.waiting import until


def redis_in(directory: Path, *, password: str = "") -> RedisServer:
    """Return a Redis to start; skip where there is none, which in CI is a failure."""
    try:
        return RedisServer(directory, password=password)
    except RedisUnavailable as error:
        absent(error)


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A Redis of the test's own."""
    async with redis_in(tmp_path) as server:
        yield server


@pytest.fixture(params=["memory", "redis"])
async def tier(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CacheTier]:
    """Each of the tiers."""
    if request.param == "memory":
        yield MemoryTier(max_bytes=1e6)
        return
    async with redis_in(tmp_path) as server, contextlib.aclosing(RedisTier(server.url)) as made:
        yield made


async def test_value_comes_back(tier: CacheTier) -> None:
    """A tier gives the bytes it was given last, and nothing for what it was not."""
    await tier.set("f", b"one", ttl_s=60)
    await tier.set("f", b"\x00two\xff", ttl_s=60)

    assert await tier.get("f") == b"\x00two\xff"
    assert await tier.get("g") is None


async def test_burst_keeps_few_connections(redis: RedisServer) -> None:
    """What a burst opens stays open, at the server too: look-ups wait for one of a few."""
    async with contextlib.aclosing(RedisTier(redis.url, timeout_s=30)) as tier:
        await tier.set("f", b"one", ttl_s=60)

        found = await asyncio.gather(*(tier.get("f") for _ in range(300)))
        connections = await tier._cache.client.client_list()

    assert set(found) == {b"one"}
    assert len(connections) <= REDIS_CONNECTIONS


async def test_value_expires(tier: CacheTier) -> None:
    """A value is gone after its time, another one's time does not matter."""
    await tier.set("f", b"one", ttl_s=0.02)
    await tier.set("g", b"two", ttl_s=60)

    async def is_gone() -> bool:
        return await tier.get("f") is None

    await until(is_gone, 30)
    assert await tier.get("g") == b"two"


async def test_memory_is_bounded(clock: FakeClock) -> None:
    """Past its bytes the memory forgets what was not used for longest."""
    memory = MemoryTier(max_bytes=3 * (ENTRY_BYTES + 10), clock=clock)
    for name in "abc":
        await memory.set(name, b"0123456789", ttl_s=60)
    await memory.get("a")

    await memory.set("d", b"0123456789", ttl_s=60)

    kept = [name for name in "abcd" if await memory.get(name)]
    assert kept == ["a", "c", "d"]
    assert memory.size_bytes == 3 * (ENTRY_BYTES + 10)


async def test_memory_takes_what_it_says() -> None:
    """Orjson's short bytes stand in a large buffer: kept as they are, they took tenfold."""
    memory, count = MemoryTier(max_bytes=1e9), 2_000
    tracemalloc.start()
    try:
        for number in range(count):
            value = orjson.dumps({"output": "an answer", "number": number})
            await memory.set(f"{number:032x}", value, ttl_s=60)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert taken < memory.size_bytes < count * 1_000


async def test_memory_keeps_nothing_larger_than_itself() -> None:
    """A value above the bound is not kept, and an older one under its name is gone."""
    memory = MemoryTier(max_bytes=ENTRY_BYTES + 10)
    await memory.set("f", b"old", ttl_s=60)

    await memory.set("f", b"x" * 11, ttl_s=60)

    assert await memory.get("f") is None
    assert memory.size_bytes == 0


async def test_expired_entries_free_the_memory(clock: FakeClock) -> None:
    """An expired entry that is asked for takes no room any more."""
    memory = MemoryTier(max_bytes=1e6, clock=clock)
    await memory.set("f", b"one", ttl_s=10)
    clock.advance(10)

    assert await memory.get("f") is None
    assert memory.size_bytes == 0


async def test_workers_share_redis(redis: RedisServer) -> None:
    """What one worker keeps in Redis, another one finds."""
    async with (
        contextlib.aclosing(RedisTier(redis.url)) as one,
        contextlib.aclosing(RedisTier(redis.url)) as other,
    ):
        await one.set("f", b"one", ttl_s=60)

        assert await other.get("f") == b"one"


async def test_lost_redis_is_a_miss_until_it_is_back(redis: RedisServer, clock: FakeClock) -> None:
    """While Redis is gone there are misses and one log line; later it is asked again."""
    async with contextlib.aclosing(RedisTier(redis.url, pause_s=5, clock=clock)) as tier:
        await tier.set("f", b"one", ttl_s=60)
        await redis.stop()
        with capture_logs() as logs:
            for _ in range(20):
                assert await tier.get("f") is None
                await tier.set("g", b"two", ttl_s=60)
                clock.advance(1)
        assert [line["event"] for line in logs] == ["cache.redis_lost"]

        await redis.start()
        clock.advance(5)
        with capture_logs() as logs:
            await tier.set("g", b"two", ttl_s=60)
            assert await tier.get("g") == b"two"
        assert [line["event"] for line in logs] == ["cache.redis_back"]


async def test_silent_redis_delays_once(clock: FakeClock) -> None:
    """A Redis that hangs costs one short wait; then it is left alone for a while."""
    asked = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        tier = RedisTier(f"redis://127.0.0.1:{port}", timeout_s=0.05, clock=clock)
        async with contextlib.aclosing(tier), asyncio.timeout(60):
            for _ in range(100):
                assert await tier.get("f") is None
        await until(lambda: asked == 1, 30)


async def test_what_passes_is_no_refusal(redis: RedisServer) -> None:
    """A full Redis takes what is kept again when something has left."""
    async with contextlib.aclosing(RedisTier(redis.url, timeout_s=30)) as tier:
        await tier._cache.client.config_set("maxmemory", 1)
        await tier.set("f", b"one", ttl_s=60)

        assert tier.refusal == ""


@pytest.mark.parametrize(
    ("commands", "refusal"),
    [(["+get", "+set"], ""), (["+get"], ""), (["+set"], "its user may not get and set keys")],
    ids=" ".join,
)
async def test_user_needs_the_commands_of_workers_alone(
    redis: RedisServer, commands: list[str], refusal: str
) -> None:
    """And is told where it may not read."""
    async with contextlib.aclosing(RedisTier(redis.url, timeout_s=30)) as tier:
        client = tier._cache.client
        await client.acl_setuser("u", enabled=True, passwords=["+p"], keys=["*"], commands=commands)
    url = redis.url.replace("unix://", "unix://u:p@")
    async with contextlib.aclosing(RedisTier(url, timeout_s=30)) as tier:
        answers = await tier.answers()

    assert (answers, tier.refusal) == (not refusal, refusal)


@pytest.mark.parametrize("url", ["http://user:CANARY@host", "redis://user:CANARY@host/first"])
def test_wrong_url_is_a_configuration_error(url: str) -> None:
    """A URL that is none of Redis's is found at start; its password is not shown."""
    with pytest.raises(ConfigurationError, match="STREAMAPP_CACHE_URL") as caught:
        RedisTier(url)

    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("password", "database", "refusal"),
    [
        ("", 0, "it refuses the user or the password"),
        ("wrong", 0, "it refuses the user or the password"),
        ("right", 99, "it refuses the database"),
        ("right", 0, ""),
    ],
    ids=["no password", "wrong password", "no such database", "fine"],
)
async def test_what_redis_refuses_is_told(
    tmp_path: Path, password: str, database: int, refusal: str
) -> None:
    """No waiting cures it: a worker says so, and `streamapp check`."""
    async with redis_in(tmp_path, password="right") as server:
        own = f"unix://:{password}@" if password else "unix://"
        url = server.url.replace("unix://", own).replace("db=0", f"db={database}")
        async with contextlib.aclosing(RedisTier(url, timeout_s=30)) as tier:
            with capture_logs() as logs:
                answers = await tier.answers()
        settings = Settings(cache_url=SecretStr(url))
        [found] = [one for one in await places(settings) if one.name == "cache"]

    assert (answers, tier.refusal) == (not refusal, refusal)
    assert [line["hint"] for line in logs] == ([refusal] if refusal else [])
    assert (found.ok, found.is_note) == (not refusal, False)
    assert found.detail.endswith(refusal)
