"""Cache tiers outside of Kafka: this worker's memory, and Redis."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import structlog

from streamapp.errors import ConfigurationError

log = structlog.get_logger(__name__)

#: What an entry costs besides its value: key, dictionaries, objects; bytes, rounded up.
ENTRY_BYTES = 500
REDIS_TIMEOUT_S = 0.25
REDIS_PAUSE_S = 5.0

#: Connections to Redis at most. The client closes none of them: a burst would keep as many as it
#: had look-ups at once, with as many for each worker at the server.
REDIS_CONNECTIONS = 16

_NAMESPACE = "streamapp:answers"


class MemoryTier:
    """This worker's memory, bounded by bytes: what was not used for longest leaves first.

    Not aiocache's memory, which bounds nothing, keeps a timer for each entry, and takes seven
    times the CPU.

    Args:
        max_bytes: Of all values with what an entry costs; larger ones are not kept.
        clock: Monotonic, seconds.
    """

    name = "memory"

    def __init__(self, *, max_bytes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of all entries."""
        return self._bytes

    async def get(self, fingerprint: str) -> bytes | None:
        """Return what is kept."""
        entry = self._entries.get(fingerprint)
        if entry is None:
            return None
        value, expires_at = entry
        if expires_at <= self._clock():
            self._forget(fingerprint)
            return None
        self._entries.move_to_end(fingerprint)
        return value

    async def set(self, fingerprint: str, value: bytes, *, ttl_s: float) -> None:
        """Keep ``value``."""
        if fingerprint in self._entries:
            self._forget(fingerprint)
        size = len(value) + ENTRY_BYTES
        if size > self._max_bytes:
            return
        # A copy: what orjson writes stands in a buffer of 4 kB, however short it is.
        self._entries[fingerprint] = (bytes(memoryview(value)), self._clock() + ttl_s)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._entries)))

    async def aclose(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._bytes = 0

    def _forget(self, fingerprint: str) -> None:
        value, _ = self._entries.pop(fingerprint)
        self._bytes -= len(value) + ENTRY_BYTES


class RedisTier:
    """A Redis that workers share.

    It may be slow or gone: a command gets a quarter of a second, and after a failure none is
    sent for a while, so that an outage costs calls nothing but their cache.

    Args:
        url: As redis-py reads it: ``redis://``, ``rediss://`` or ``unix://``.
        clock: Monotonic, seconds.

    Attributes:
        refusal: Why Redis takes no command of ours, which no waiting cures; empty where it does,
            or does not answer at all.

    Raises:
        ConfigurationError: The extra is not installed, or the URL cannot be used.
    """

    name = "redis"

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = REDIS_TIMEOUT_S,
        pause_s: float = REDIS_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            # Not before: a tenth of a second and 7 MB that a worker without Redis does without.
            from aiocache.backends.redis import (  # type: ignore[import-untyped] # it ships no types
                RedisCache,
            )
            from aiocache.serializers import NullSerializer  # type: ignore[import-untyped] # likewise
            from redis.asyncio import BlockingConnectionPool
            from redis.exceptions import RedisError
        except ImportError:
            raise ConfigurationError(
                "STREAMAPP_CACHE_URL needs Redis's client: from a clone pip install '.[redis]'"
            ) from None
        try:
            pool = BlockingConnectionPool.from_url(
                url, max_connections=REDIS_CONNECTIONS, timeout=timeout_s
            )
            _check_database(url)
        except ValueError:
            raise ConfigurationError(
                "STREAMAPP_CACHE_URL: write redis://[[USER]:PASSWORD@]HOST[:PORT][/DB],"
                " or rediss:// for TLS"
            ) from None
        self._cache: Any = RedisCache(
            serializer=NullSerializer(encoding=None),
            namespace=_NAMESPACE,
            timeout=None,
            # aiocache itself knows neither users nor URLs with options.
            connection_pool_class=lambda **_: pool,
        )
        self._errors = (RedisError, OSError, TimeoutError)
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._clock = clock
        self._paused_until = float("-inf")
        self._is_down = False
        self.refusal = ""

    async def get(self, fingerprint: str) -> bytes | None:
        """Return what is kept; None also where Redis does not answer."""
        value: bytes | None = await self._ask("get", fingerprint)
        return value

    async def set(self, fingerprint: str, value: bytes, *, ttl_s: float) -> None:
        """Keep ``value``, if Redis answers."""
        await self._ask("set", fingerprint, value, ttl=max(float(ttl_s), 0.001))

    async def answers(self) -> bool:
        """Whether Redis answers now, what workers ask of it."""
        await self._ask("get", "")
        return not self._is_down

    async def aclose(self) -> None:
        """Close the connections."""
        await self._cache.client.aclose()

    async def _ask(self, command: str, *args: Any, **kwargs: Any) -> Any:
        if self._clock() < self._paused_until:
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await getattr(self._cache, command)(*args, **kwargs)
        except self._errors as error:
            self._paused_until = self._clock() + self._pause_s
            self.refusal = _refusal(error)
            if not self._is_down:
                told = {"error": type(error).__name__, "pause_s": self._pause_s}
                log.warning("cache.redis_lost", **told, hint=self.refusal or None)
            self._is_down = True
            return None
        if self._is_down:
            log.info("cache.redis_back")
        self._is_down, self.refusal = False, ""
        return answer


def _refusal(error: Exception) -> str:
    from redis.exceptions import (
        AuthenticationError,
        AuthorizationError,
        NoPermissionError,
        ResponseError,
    )

    cause = error.__cause__ or error  # what fails within a new connection is that connection's
    if isinstance(cause, AuthenticationError | AuthorizationError):
        return "it refuses the user or the password"
    if isinstance(cause, NoPermissionError):
        return "its user may not get and set keys"
    # Others pass, as that it is full, or a replica for a while.
    return "it refuses the database" if isinstance(error.__cause__, ResponseError) else ""


def _check_database(url: str) -> None:
    """Raise ``ValueError`` for a database that is no number: redis-py would take the first one."""
    parts = urlsplit(url)
    if parts.scheme != "unix" and (database := parts.path.strip("/")):
        int(database)
