"""Three brokers that are their own controllers: what one of them had, the others go on with."""

import asyncio
import uuid
from pathlib import Path

from tests.support.kafka import KafkaBroker
from tests.support.process import free_port

NODES = (1, 2, 3)

#: Every topic on all three, and written on two at least.
CONFIG = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
}


class KafkaCluster:
    """Three brokers, by their node ids.

    Args:
        directory: Holds a folder of each.

    Attributes:
        brokers: The brokers; each of them answers for all.
    """

    def __init__(self, directory: Path) -> None:
        voters = {node: free_port() for node in NODES}
        cluster_id = uuid.uuid4().hex[:22]
        self.brokers = {
            node: KafkaBroker(
                directory / f"kafka-{node}",
                config=CONFIG,
                voters=voters,
                node_id=node,
                cluster_id=cluster_id,
            )
            for node in NODES
        }

    async def start(self, *nodes: int) -> None:
        """Start the named ones, or all, and wait until they answer."""
        started = [self.brokers[node] for node in nodes or NODES]
        for broker in started:
            broker.launch()
        await asyncio.gather(*(broker.wait_ready(120) for broker in started))

    def kill9(self) -> None:
        """Kill all."""
        for broker in self.brokers.values():
            broker.kill9()
