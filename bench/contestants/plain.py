"""What one writes by hand with aiokafka and aiohttp: batches, at-least-once, no tables."""

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Iterator

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from bench.contestants.call import Caller, parser

#: Records of one commit; several times what is in flight, so that a batch's end costs little.
BATCH = 2_048


class Batches:
    """Answers batch after batch; a batch is done when all its responses are delivered."""

    def __init__(self, caller: Caller, producer: AIOKafkaProducer, options: argparse.Namespace):
        self._caller = caller
        self._producer = producer
        self._topic = options.responses
        self._in_flight = options.in_flight

    async def unordered(self, records: list[ConsumerRecord]) -> None:
        """Answer ``records`` in any order: each worker takes the next one."""
        await self._answer(iter(records))

    async def _answer(self, records: Iterator[ConsumerRecord]) -> None:
        sent = await asyncio.gather(*(self._work(records) for _ in range(self._in_flight)))
        await asyncio.gather(*(delivery for deliveries in sent for delivery in deliveries))

    async def _work(self, records: Iterator[ConsumerRecord]) -> "list[asyncio.Future[object]]":
        deliveries = []
        for record in records:
            answer = await self._caller.answer(record.value)
            deliveries.append(await self._producer.send(self._topic, answer, key=record.key))
        return deliveries


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
    async with consumer, producer, contextlib.aclosing(caller):
        batches = Batches(caller, producer, options)
        while True:
            polled = await consumer.getmany(timeout_ms=1_000, max_records=BATCH)
            if polled:
                await batches.unordered(
                    [record for records in polled.values() for record in records]
                )
                await consumer.commit()


async def main(options: argparse.Namespace) -> None:
    """Run until SIGTERM."""
    task = asyncio.create_task(run(options))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    uvloop.run(main(parser().parse_args()))
