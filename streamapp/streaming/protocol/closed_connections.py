"""Connections that were closed in the turn of the loop before they are written to."""

from collections.abc import Collection
from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError


def refuse_closed(client: AIOKafkaClient) -> None:
    """Have a request to such a connection fail as one to any other that is broken.

    uvloop raises a plain `RuntimeError` there. aiokafka 0.14 knows the errors of sockets alone:
    its tasks, the sender of a producer among them, end by any other one, and with them the worker.
    The task that looks for brokers and leaders ends without a word, and whoever waits for its next
    look waits for ever: a producer, a search for the group's coordinator.

    Args:
        client: Of a consumer or producer.
    """
    send_any, look = client.send, client._metadata_update

    async def send(
        node_id: int, request: Any, *, group: ConnectionGroup = ConnectionGroup.DEFAULT
    ) -> Any:
        try:
            return await send_any(node_id, request, group=group)
        except KafkaError:  # is a RuntimeError, too
            raise
        except RuntimeError as error:
            connection = client._conns.get((node_id, group))
            if connection is not None:
                connection.close(reason=CloseReason.CONNECTION_BROKEN)
            kind = type(request).__name__
            raise KafkaConnectionError(f"{kind}: the connection was closed") from error

    async def look_again(cluster: ClusterMetadata, topics: Collection[str] | None) -> bool:
        try:
            return await look(cluster, topics)  # type: ignore[no-any-return]  # aiokafka has no types
        except RuntimeError:  # of one of the connections that it has asked by
            there = [*client._conns.values()]
            closed = [each for each in there if each._writer is None or each._writer.is_closing()]
            for connection in closed or there:  # others may have records on their way
                connection.close(reason=CloseReason.CONNECTION_BROKEN)
            cluster.failed_update(None)
            return False

    client.send, client._metadata_update = send, look_again
