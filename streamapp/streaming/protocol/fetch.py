"""The fetch request and its response, in a third of the steps that aiokafka takes for them.

aiokafka encodes and decodes each field by functions of its own: some 900 calls for a fetch of 11
partitions, half of what it costs. With a few records a second there is a fetch for each record.
This is version 11 of both, which all brokers since Kafka 2.3 know; for others aiokafka's way stays.

Source: https://kafka.apache.org/protocol.html#The_Messages_Fetch
"""

import struct
from io import BytesIO
from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11

# Big-endian, without padding; the names are those of the protocol.
_HEAD = struct.Struct(">iiiibiii")  # ..., session_id, session_epoch, count of topics
_WANTED = struct.Struct(">iiqqi")  # partition, leader epoch, offset, log start, max_bytes
_COUNT = struct.Struct(">i")
_LENGTH = struct.Struct(">h")
_ANSWER_HEAD = struct.Struct(">ihii")  # throttle_time_ms, error_code, session_id, count of topics
_PARTITION = struct.Struct(">ihqqqi")  # ..., log_start_offset, count of aborted transactions
_ABORTED = struct.Struct(">qq")  # producer_id, first_offset
_RECORDS = struct.Struct(">ii")  # preferred_read_replica, bytes of records


class QuickFetchResponse(FetchResponse_v11):  # type: ignore[misc]  # aiokafka has no types
    """What a broker answers: the fields of aiokafka's class."""

    @classmethod
    def decode(cls, data: BytesIO | bytes) -> "QuickFetchResponse":
        """Read a response, from behind its header on.

        Raises:
            ValueError: It ends too early.
        """
        buffer = data if isinstance(data, bytes) else data.read()
        try:
            return cls(*_response(buffer))
        except struct.error as error:
            raise ValueError(f"a fetch response of {len(buffer)} bytes is cut off") from error


class QuickFetchRequest(FetchRequest_v11):  # type: ignore[misc]  # likewise
    """What a broker is asked for: the fields of aiokafka's class."""

    RESPONSE_TYPE = QuickFetchResponse

    def encode(self) -> bytes:
        """Return the request as it is sent behind its header."""
        asked: Any = self
        parts = [
            _HEAD.pack(
                asked.replica_id,
                asked.max_wait_time,
                asked.min_bytes,
                asked.max_bytes,
                asked.isolation_level,
                asked.session_id,
                asked.session_epoch,
                len(asked.topics),
            )
        ]
        for topic, partitions in asked.topics:
            parts += (_text(topic), _COUNT.pack(len(partitions)))
            parts += [_WANTED.pack(*partition) for partition in partitions]
        parts += (_COUNT.pack(0), _text(asked.rack_id))  # nothing is forgotten: no sessions
        return b"".join(parts)


class QuickFetch:
    """A fetch, in the shape that a connection sends.

    Args:
        request: As aiokafka makes it.
    """

    def __init__(self, request: FetchRequest) -> None:
        self._request = request

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        """Return the request in a version that the broker knows; ``versions`` are by API key."""
        least, most = versions.get(FetchRequest.API_KEY, (0, 0))
        if least <= QuickFetchRequest.API_VERSION <= most:
            return self._request.build(QuickFetchRequest)
        return self._request.prepare(versions)


def fetch_quickly(client: AIOKafkaClient) -> None:
    """Have the client's fetches encoded and decoded this way."""
    send_any = client.send

    async def send(node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        if type(request) is FetchRequest:
            request = QuickFetch(request)
        return await send_any(node_id, request, group=group)

    client.send = send


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _LENGTH.pack(len(encoded)) + encoded


def _response(buffer: bytes) -> tuple[int, int, int, list[Any]]:
    throttle_ms, error_code, session, topic_count = _ANSWER_HEAD.unpack_from(buffer, 0)
    at, topics = _ANSWER_HEAD.size, []
    for _ in range(topic_count):
        (length,) = _LENGTH.unpack_from(buffer, at)
        at += _LENGTH.size
        topic = buffer[at : at + length].decode()
        (count,) = _COUNT.unpack_from(buffer, at + length)
        at += length + _COUNT.size
        partitions = []
        for _ in range(count):
            *fields, aborted_count = _PARTITION.unpack_from(buffer, at)
            at += _PARTITION.size
            aborted = []
            for _ in range(aborted_count):
                aborted.append(_ABORTED.unpack_from(buffer, at))
                at += _ABORTED.size
            replica, size = _RECORDS.unpack_from(buffer, at)
            at += _RECORDS.size
            end = at + max(size, 0)
            if end > len(buffer):
                raise struct.error("records")
            partitions.append(
                (
                    *fields,
                    None if aborted_count < 0 else aborted,
                    replica,
                    None if size < 0 else buffer[at:end],
                )
            )
            at = end
        topics.append((topic, partitions))
    return throttle_ms, error_code, session, topics
