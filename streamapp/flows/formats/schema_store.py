"""The schemas that flows read and write by, asked of the registry once and kept."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from streamapp.errors import RegistryUnavailable, SchemaRefused, Undecodable
from streamapp.flows.formats.proto_file import ProtoFile
from streamapp.flows.formats.registry import Kind, Schema, SchemaRegistry

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: A schema that the registry did not know may be there later, seconds: a follower lags.
MISSING_S = 10.0
#: Between two questions while the registry is away, seconds: the first, and the longest.
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class Written:
    """What the values of a topic are written by.

    Attributes:
        subject: ``TOPIC-value``.
        schema: None takes the subject's newest one, of that kind.
        register: Whether it is registered where it is not.
        message: Full name of a message of Protobuf.
    """

    subject: str
    kind: Kind
    schema: Schema | None
    register: bool = False
    message: str = ""


class SchemaStore:
    """Schemas by id, and the ids of what is written.

    A registry that does not answer holds up whoever asks, and nobody else: they ask again until
    it does, and `impaired` says so meanwhile. A schema never changes, so it is asked for once.

    Args:
        registry: Asked for what is not known.
        on_error: Called at each question without an answer.
        sleep: Waits, seconds.
        clock: Monotonic, seconds.
    """

    def __init__(
        self,
        registry: SchemaRegistry,
        *,
        on_error: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._on_error = on_error
        self._sleep = sleep
        self._clock = clock
        self._schemas: dict[int, Schema] = {}
        self._missing: dict[int, float] = {}
        self._written: dict[Written, tuple[int, Schema]] = {}
        self._locks: dict[Any, asyncio.Lock] = defaultdict(asyncio.Lock)
        #: Why whoever waits waits, by what it waits for.
        self._waiting: dict[Any, str] = {}

    def knows(self, id: int) -> bool:
        """Whether a schema need not be asked for."""
        return id in self._schemas

    def get(self, id: int) -> Schema:
        """Return a schema that was loaded.

        Raises:
            Undecodable: The registry has none with that id.
        """
        try:
            return self._schemas[id]
        except KeyError:
            problem = f"the schema registry has no schema {id}"
        raise Undecodable(problem)

    async def load(self, id: int) -> None:
        """Have `get` answer for ``id``; waits as long as the registry is away."""
        async with self._locks[id]:
            if id in self._schemas or self._clock() < self._missing.get(id, 0.0):
                return
            schema = await self._answer(id, lambda: self._registry.schema(id))
            if schema is None:
                self._missing[id] = self._clock() + MISSING_S
            else:
                self._schemas[id] = schema

    async def load_written(self, written: "Written") -> tuple[int, Schema]:
        """Return the id and the schema of what is written; waits until its subject has it."""
        async with self._locks[written]:
            if written not in self._written:
                self._written[written] = await self._answer(
                    written, lambda: self.find_written(written)
                )
        return self._written[written]

    async def find_written(self, written: "Written") -> tuple[int, Schema]:
        """Ask once for what `load_written` waits for.

        Raises:
            RegistryUnavailable: The registry does not answer.
            SchemaRefused: The subject does not have it, or the registry does not take it.
        """
        subject, schema = written.subject, written.schema
        if schema is None:
            latest = await self._registry.latest(subject)
            if latest is None:
                raise SchemaRefused(
                    f"the schema registry has no schema for {subject}: register one, or name a"
                    " file in output_schema"
                )
            if (kind := latest[1].kind) != written.kind:
                raise SchemaRefused(
                    f"the newest schema for {subject} is {kind}, not {written.kind}: set"
                    " output_format so, or take another topic"
                )
            if written.message and ProtoFile(latest[1].text).path_of(written.message) is None:
                raise SchemaRefused(
                    f"the newest schema for {subject} has no message {written.message}: set"
                    " register_schemas = true, or take another message or topic"
                )
            return latest
        id = await self._registry.id_of(subject, schema)
        if id is None and written.register:
            id = await self._registry.register(subject, schema)
        if id is None:
            raise SchemaRefused(
                f"the schema of output_schema is not registered for {subject}: register it, or"
                " set register_schemas = true"
            )
        return id, schema

    async def is_compatible(self, written: "Written") -> bool:
        """Return whether the registry would take a schema; raises `RegistryUnavailable`."""
        assert written.schema is not None
        return await self._registry.is_compatible(written.subject, written.schema)

    def impaired(self) -> list[str]:
        """Return what is waited for, a line each."""
        return sorted({f"schemas: {reason}" for reason in self._waiting.values()})

    async def aclose(self) -> None:
        """Close the registry."""
        await self._registry.aclose()

    async def _answer(self, key: Any, ask: Callable[[], Awaitable[T]]) -> T:
        wait_s = FIRST_WAIT_S
        try:
            while True:
                try:
                    return await ask()
                except (RegistryUnavailable, SchemaRefused) as error:
                    self._on_error()
                    reason = str(error)
                if self._waiting.get(key) != reason:
                    log.warning("flows.waits_for_schemas", reason=reason)
                self._waiting[key] = reason
                await self._sleep(wait_s)
                wait_s = min(LONGEST_WAIT_S, wait_s * 2)
        finally:
            self._waiting.pop(key, None)
