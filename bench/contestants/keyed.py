"""The yardstick: aiokafka and aiohttp by hand, a task for each record, in order per key.

At-least-once: an offset is committed when every record before it has its answer on the topic.
It has no ledger, no limits, no dead letters, and asks a provider that refuses it again.
"""

import argparse
import asyncio
import contextlib
import signal
from collections import defaultdict

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from bench.contestants.call import Caller, parser

#: Records that were taken and are not finished, as a multiple of those in flight.
PENDING = 8
COMMIT_S = 1.0


class Keyed:
    """Runs records at once, those of one key one after the other."""

    def __init__(
        self,
        caller: Caller,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        options: argparse.Namespace,
    ) -> None:
        self._caller = caller
        self._consumer = consumer
        self._producer = producer
        self._topic = options.responses
        self._slots = asyncio.Semaphore(options.in_flight)
        self._room = asyncio.Semaphore(options.in_flight * PENDING)
        self._last: dict[bytes, asyncio.Task[None]] = {}
        self._unfinished: defaultdict[TopicPartition, dict[int, None]] = defaultdict(dict)
        self._next: dict[TopicPartition, int] = {}

    async def consume(self) -> None:
        """Take records until cancelled."""
        while True:
            polled = await self._consumer.getmany(timeout_ms=1_000, max_records=2_048)
            for place, records in polled.items():
                for record in records:
                    await self._room.acquire()
                    self._unfinished[place][record.offset] = None
                    self._next[place] = record.offset + 1
                    before = self._last.get(record.key)
                    task = asyncio.create_task(self._answer(place, record, before))
                    self._last[record.key] = task

    async def commit(self) -> None:
        """Commit once a second, until cancelled."""
        while True:
            await asyncio.sleep(COMMIT_S)
            offsets = {
                place: next(iter(self._unfinished[place]), position)
                for place, position in self._next.items()
            }
            if offsets:
                await self._consumer.commit(offsets)

    async def _answer(
        self, place: TopicPartition, record: ConsumerRecord, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        async with self._slots:
            answer = await self._caller.answer(record.value)
        await self._producer.send_and_wait(self._topic, answer, key=record.key)
        del self._unfinished[place][record.offset]
        self._room.release()
        if self._last.get(record.key) is asyncio.current_task():
            del self._last[record.key]


async def run(options: argparse.Namespace) -> None:
    """Consume until cancelled."""
    consumer = AIOKafkaConsumer(
        options.requests,
        bootstrap_servers=options.broker,
        group_id=options.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=options.broker, acks="all")
    caller = Caller(options.base_url)
    async with consumer, producer, contextlib.aclosing(caller), asyncio.TaskGroup() as group:
        keyed = Keyed(caller, consumer, producer, options)
        group.create_task(keyed.commit())
        await keyed.consume()


async def main(options: argparse.Namespace) -> None:
    """Run until SIGTERM."""
    task = asyncio.create_task(run(options))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    uvloop.run(main(parser().parse_args()))
