"""The flow of `triples`, in a worker whose client learns of the flow's ledger late.

As where the broker that it asks does not know yet what another one has just created.
"""

import time
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator

from tests.support.triples import triple

#: After the start of the process.
LATE_S = 6.0

__all__ = ["triple"]

_known_at = time.monotonic() + LATE_S
_init = GroupCoordinator.__init__


def _init_late(self: GroupCoordinator, client: AIOKafkaClient, *args: Any, **options: Any) -> None:
    known = client.cluster.partitions_for_topic

    def known_in_time(topic: str) -> set[int] | None:
        is_late = topic.endswith("-triple-changelog") and time.monotonic() < _known_at
        return None if is_late else known(topic)

    client.cluster.partitions_for_topic = known_in_time
    _init(self, client, *args, **options)


GroupCoordinator.__init__ = _init_late
