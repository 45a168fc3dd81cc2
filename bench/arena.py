"""Where runs happen: one broker for all, and for each run fresh topics and a fresh provider."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.contestants import Contestant, Place
from bench.hotspots import Hotspots
from bench.provider import Provider
from bench.provider import provider as start_provider
from bench.result import Result, Scaled
from bench.run import Run
from bench.verdict import Topics
from bench.workloads import Workload
from tests.support.process import free_port
from tests.support.waiting import until

PARTITIONS = 8
SHARED_S = 90

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """A start on the state of an earlier run.

    Attributes:
        answers: Records in the changelog.
        ready_s: From the start of the process to readiness.
    """

    answers: int
    ready_s: float


class Arena:
    """Runs contestants on workloads, one at a time.

    Args:
        broker: ``HOST:PORT`` of a running Kafka.
        folder: For logs and data of the runs.
        in_flight: Most calls in flight, for each contestant.
        progress: Called with what happens, how many are done and of how many.
    """

    def __init__(self, broker: str, folder: Path, *, in_flight: int, progress: Progress) -> None:
        self._broker = broker
        self._folder = folder
        self._in_flight = in_flight
        self._progress = progress
        self._numbers = itertools.count(1)
        self._id = f"{int(time.time()):x}"

    async def run(
        self, contestant: Contestant, workload: Workload, *, profile: bool = False
    ) -> tuple[Result, Hotspots | None]:
        """Measure one contestant on one workload.

        The records lie on the topic before the worker starts, and its start-up is not counted;
        or they come at a pace from the moment at which it takes records.

        Raises:
            RunFailed: See there.
        """
        part = contestant.share(workload)
        async with self._provider(workload) as provider, self._topics() as topics:
            place = self._place(contestant, workload, provider)
            await self._create_topics(place)
            run = Run(contestant, place, part, provider=provider, topics=topics)
            if part.pace_per_s is None:
                await self._produce(place, part)
            await run.start(profile=profile)
            try:
                if part.pace_per_s is not None:
                    await run.takes_records()
                    await self._write(place, part, run, every_s=1 / part.pace_per_s)
                await run.finish(lambda done: self._report(contestant, workload, done, part))
                await run.rest()
            finally:
                exit_code = await run.stop()
            result = await run.result(of_records=workload.records, exit_code=exit_code)
            hotspots = run.hotspots() if profile else None
        return result, hotspots

    async def restart(self, contestant: Contestant, workload: Workload) -> tuple[Result, Restart]:
        """Let it answer ``workload``, stop it, and start it again on what it has written.

        Returns:
            The first run and the second start.
        """
        async with self._provider(workload) as provider, self._topics() as topics:
            place = self._place(contestant, workload, provider)
            await self._create_topics(place)
            await self._produce(place, workload)
            run = Run(contestant, place, workload, provider=provider, topics=topics)
            await run.start()
            try:
                await run.finish(lambda done: self._report(contestant, workload, done, workload))
            finally:
                exit_code = await run.stop()
            result = await run.result(of_records=workload.records, exit_code=exit_code)
            answers = await topics.count(place.changelog)
            await run.start()
            try:
                ready_s = await run.ready()
            finally:
                await run.stop()
        return result, Restart(answers=answers, ready_s=ready_s)

    async def scale(self, contestant: Contestant, workload: Workload, workers: int) -> Scaled:
        """Measure ``workers`` processes of one group on ``workload`` for each of them.

        The records come when every worker is ready and has its share of the partitions.

        Raises:
            RunFailed: See there.
        """
        whole = workload.times(workers)
        async with self._provider(workload) as provider, self._topics() as topics:
            group = self._place(contestant, workload, provider)
            await self._create_topics(group)
            runs = [
                Run(contestant, place, whole, provider=provider, topics=topics)
                for place in (group.of_worker(number) for number in range(workers))
            ]

            async def are_shared() -> bool:
                return all([await run.holds(PARTITIONS // workers) for run in runs])

            for run in runs:
                await run.start()
            try:
                await until(are_shared, SHARED_S)
                await self._produce(group, whole)
                await runs[0].finish(lambda done: self._report(contestant, whole, done, whole))
            finally:
                exit_codes = await asyncio.gather(*(run.stop() for run in runs))
            at_once = await provider.most_calls()
            parts = [
                await run.result(of_records=whole.records, exit_code=exit_code)
                for run, exit_code in zip(runs, exit_codes, strict=True)
            ]
        return Scaled(
            workers=workers,
            at_once=at_once,
            whole=replace(
                parts[0],
                cpu_s=sum(part.cpu_s for part in parts),
                peak_mb=max(part.peak_mb for part in parts),
                exit_code=next(filter(None, exit_codes), 0),
            ),
        )

    def _report(
        self, contestant: Contestant, workload: Workload, done: int, part: Workload
    ) -> None:
        self._progress(f"{workload.name} {contestant.name}", done, part.records)

    def _place(self, contestant: Contestant, workload: Workload, provider: Provider) -> Place:
        prefix = f"bench-{self._id}-{next(self._numbers)}-{workload.name}-{contestant.name}"
        folder = self._folder / prefix
        folder.mkdir(parents=True)
        return Place(
            broker=self._broker,
            prefix=prefix,
            base_url=provider.base_url,
            folder=folder,
            web_port=free_port(),
            in_flight=self._in_flight,
        )

    def _provider(self, workload: Workload) -> AbstractAsyncContextManager[Provider]:
        return start_provider(
            workload.latency_s,
            limit_per_s=workload.limit_per_s,
            log=self._folder / "provider.log",
        )

    @contextlib.asynccontextmanager
    async def _topics(self) -> AsyncIterator[Topics]:
        async with (
            AIOKafkaConsumer(bootstrap_servers=self._broker) as consumer,
            self._admin() as admin,
        ):
            yield Topics(consumer, admin, PARTITIONS)

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._broker)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    async def _create_topics(self, place: Place) -> None:
        """Create the run's topics.

        The broker stamps the responses when it appends them: one clock for all programs.
        """
        stamped = {"message.timestamp.type": "LogAppendTime"}
        async with self._admin() as admin:
            await admin.create_topics(
                [
                    NewTopic(place.requests, PARTITIONS, 1),
                    NewTopic(place.responses, PARTITIONS, 1, topic_configs=stamped),
                    NewTopic(place.dead_letters, PARTITIONS, 1),
                ]
            )

    async def _produce(self, place: Place, workload: Workload) -> None:
        """Put every record on its topic; keys are dealt evenly to the partitions."""
        partitions: dict[bytes, int] = {}
        async with AIOKafkaProducer(bootstrap_servers=self._broker, linger_ms=20) as producer:
            for key, value in workload.messages():
                partition = partitions.setdefault(key, len(partitions) % PARTITIONS)
                await producer.send(place.requests, value, key=key, partition=partition)

    async def _write(self, place: Place, workload: Workload, run: Run, *, every_s: float) -> None:
        """Put one record after the other on its topic, and note when."""
        partitions: dict[bytes, int] = {}
        async with AIOKafkaProducer(bootstrap_servers=self._broker) as producer:
            await producer.partitions_for(place.requests)
            loop = asyncio.get_running_loop()
            due_s = loop.time()
            for number, (key, value) in enumerate(workload.messages()):
                await asyncio.sleep(due_s - loop.time())
                due_s += every_s
                partition = partitions.setdefault(key, len(partitions) % PARTITIONS)
                run.wrote(number)
                await producer.send(place.requests, value, key=key, partition=partition)
