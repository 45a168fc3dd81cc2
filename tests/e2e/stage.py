"""One test's world on Apache Kafka: own topics and group, a fake provider, workers, the verifier.

async with Stage(kafka, tmp_path) as stage:
    await stage.open()
    worker = stage.start_worker()
    await stage.produce([ask("r-1")])
    report = await stage.settle(1)
"""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaProducer

from tests.support.fakellm import FakeLLM
from tests.support.judgement import Call, Crash, Report
from tests.support.kafka import KafkaBroker
from tests.support.topics import create_topics
from tests.support.verifier import Verifier
from tests.support.worker import STREAMAPP, WorkerProcess

API_KEY = "sk-e2e-canary"
CONNECTIONS_S = 120  # producers of a test outlive any outage of the test


@dataclass(frozen=True, slots=True)
class Record:
    """One record to produce; without a partition the key decides."""

    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def ask(
    id_: str, key: str | None = None, *, script: Any = None, partition: int | None = None
) -> Record:
    """Return a `chat` record whose message starts with its id.

    Args:
        id_: The record's id.
        key: Its key; the id when not given.
        script: What the fake provider does with it: fields of an `Outcome`, or a list of them
            for the first call, the second and so on.
        partition: Its partition; by key when not given.
    """
    marker = "" if script is None else f" [[fake:{json.dumps(script)}]]"
    messages = [{"role": "user", "content": f"{id_}{marker}"}]
    value = json.dumps({"id": id_, "type": "chat", "messages": messages}).encode()
    return Record(value, (key or id_).encode(), partition)


class Stage:
    """The world of one test; an async context manager that ends all it started.

    Args:
        broker: A broker; it may be down until `open`.
        directory: For the workers' directories.
        partitions: Of every topic.
        forked: Whether the workers may be forked; see `ChildProcess`.

    Attributes:
        provider: The fake provider with its call log.
        verifier: After `open`: what the topics and the group say.
        workers: Every worker started, in order.
        extra: Further variables of the workers.
    """

    verifier: Verifier

    def __init__(
        self, broker: KafkaBroker, directory: Path, *, partitions: int = 4, forked: bool = True
    ) -> None:
        self.broker = broker
        self.provider = FakeLLM()
        self.workers: list[WorkerProcess] = []
        self.crashes: list[Crash] = []
        self.prefix = f"t{uuid.uuid4().hex[:8]}"
        self.extra: dict[str, str] = {}
        self._directory = directory
        self._partitions = partitions
        self._forked = forked
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.provider)
        self._stack.callback(self._kill_all)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def open(
        self,
        *,
        made_by_worker: bool = False,
        configs: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Create the topics, unless a worker did, and follow them.

        Args:
            made_by_worker: Whether the topics are there.
            configs: Configuration of topics, by name without the prefix.
        """
        names = [f"{self.prefix}.{n}" for n in ("requests", "responses", "requests-dlt")]
        if not made_by_worker:
            await create_topics(
                self.broker.bootstrap,
                *names,
                partitions=self._partitions,
                configs={f"{self.prefix}.{name}": c for name, c in (configs or {}).items()},
            )
        self.verifier = await self._stack.enter_async_context(
            Verifier(
                self.broker.bootstrap,
                group=self.prefix,
                requests=names[0],
                responses=names[1],
                dead_letters=names[2],
            )
        )
        self._producer = await self._stack.enter_async_context(
            AIOKafkaProducer(
                bootstrap_servers=self.broker.bootstrap,
                enable_idempotence=True,
                request_timeout_ms=CONNECTIONS_S * 1000,
                max_request_size=4 * 1024 * 1024,
            )
        )

    def environment(self, **settings: Any) -> dict[str, str]:
        """Return the variables of a worker of this group; settings as for `start_worker`."""
        defaults = {
            "broker": self.broker.url,
            "app_id": self.prefix,
            "topic_prefix": self.prefix,
            "partitions": self._partitions,
            "model": "fake-model",
        }
        variables = {
            f"STREAMAPP_{name.upper()}": str(value) for name, value in (defaults | settings).items()
        }
        provider = {"OPENAI_BASE_URL": self.provider.base_url, "OPENAI_API_KEY": API_KEY}
        return variables | provider | self.extra

    def start_worker(self, *, command: Sequence[str] = STREAMAPP, **settings: Any) -> WorkerProcess:
        """Start a worker of this group.

        Args:
            command: Module and arguments; streamapp's worker when not given.
            settings: STREAMAPP_ settings, in lower case without the prefix.
        """
        directory = self._directory / f"worker-{len(self.workers)}"
        worker = WorkerProcess(
            directory, self.environment(**settings), command=command, forked=self._forked
        )
        self.workers.append(worker)
        worker.start()
        return worker

    async def ready_worker(self, **settings: Any) -> WorkerProcess:
        """Start a worker and wait until it takes records."""
        worker = self.start_worker(**settings)
        await worker.wait_ready()
        return worker

    def kill9(self, worker: WorkerProcess) -> None:
        """Kill a worker; what it had in flight may be paid again."""
        before = time.monotonic()
        worker.kill9()
        self.crashes.append(Crash(before, time.monotonic()))

    def sigstop(self, worker: WorkerProcess) -> None:
        """Freeze a worker; what it had in flight may be paid again."""
        before = time.monotonic()
        worker.sigstop()
        self.crashes.append(Crash(before, time.monotonic()))

    @contextlib.contextmanager
    def cut_off(self) -> Iterator[None]:
        """Note a fault inside the block as one that may have what is in flight paid again."""
        before = time.monotonic()
        yield
        self.crashes.append(Crash(before, time.monotonic()))

    async def produce(
        self,
        records: Iterable[Record],
        *,
        topic: str = "requests",
        rate_per_s: float | None = None,
    ) -> int:
        """Produce to a topic in order, at a steady rate when given, and return how many.

        Returns when the broker has acknowledged every record.
        """
        loop = asyncio.get_running_loop()
        start, sent = loop.time(), []
        for number, record in enumerate(records):
            if rate_per_s:
                await asyncio.sleep(max(0.0, start + number / rate_per_s - loop.time()))
            delivery = await self._producer.send(
                f"{self.prefix}.{topic}",
                record.value,
                key=record.key,
                partition=record.partition,
                headers=list(record.headers),
            )
            sent.append(delivery)
        await asyncio.gather(*sent)
        return len(sent)

    async def in_flight(self, count: int, timeout_s: float = 90) -> None:
        """Wait until the provider holds `count` calls at once."""
        await self.verifier.until(lambda: self.provider.counts["in_flight"] >= count, timeout_s)

    def calls(self) -> list[Call]:
        """The provider's call log; each message starts with the record's id."""
        return [Call(call.message.split(" ")[0], call.at_s) for call in self.provider.calls]

    def report(self) -> Report:
        """The verifier's judgement so far."""
        return self.verifier.report(self.calls(), self.crashes)

    async def settle(self, count: int, timeout_s: float = 180) -> Report:
        """Wait until `count` inputs are answered and committed; return the judgement."""
        await self.verifier.all_answered(count, timeout_s)
        await self.verifier.all_committed(timeout_s)
        return self.report()

    def _kill_all(self) -> None:
        for worker in self.workers:
            worker.kill9()
