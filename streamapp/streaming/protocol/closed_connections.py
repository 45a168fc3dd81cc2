"""Connections that were closed in the turn of the loop before they are written to."""

from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError


def refuse_closed(client: AIOKafkaClient) -> None:
    """Have a request to such a connection fail as one to any other that is broken.

    uvloop raises a plain `RuntimeError` there. aiokafka 0.14 knows the errors of sockets alone:
    its tasks, the sender of a producer among them, end by any other one, and with them the worker.

    Args:
        client: Of a consumer or producer.
    """
    send_any = client.send

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

    client.send = send
