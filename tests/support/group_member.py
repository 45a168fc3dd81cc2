"""A bare member of a consumer group, with the worker's client and session: it says what it gets.

python -m tests.support.group_member BOOTSTRAP GROUP TOPIC
"""

import asyncio
import signal
import sys
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.structs import TopicPartition


def say(text: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Listener(ConsumerRebalanceListener):
    """Says how many partitions there are."""

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Nothing is kept."""

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Say it."""
        say(f"assigned {len(assigned)}")


async def main(bootstrap: str, group: str, topic: str) -> None:
    """Be a member until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=2_000,
        rebalance_timeout_ms=60_000,
        max_poll_interval_ms=600_000,
        enable_auto_commit=False,
    )
    await consumer.start()
    say("joining")
    consumer.subscribe([topic], listener=Listener())
    await stop.wait()
    await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
