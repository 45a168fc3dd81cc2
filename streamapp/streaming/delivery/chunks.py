"""The chunk streams on ``llm.chunks``: the text of a streamed record while it is written.

Chunks are for who wants to read along. The answer itself is the response record: chunks are
sent once, are not remembered, and a worker that dies leaves a stream without its end.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError

from streamapp.errors import Failure
from streamapp.llm.attempt import standing
from streamapp.llm.chunks import CallDelta, give_whole
from streamapp.streaming.delivery.emitter import Send
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.taken_record import Message

log = structlog.get_logger(__name__)

#: Least time between two records of one stream, seconds: a model writes a word at a time, and
#: nobody reads faster.
EVERY_S = 0.1
#: Longest wait for a chunk's place in the producer, seconds, and for how long no chunk is sent
#: after one that found none. Where the topic is gone each would wait, and the answer for them.
SEND_S, PAUSE_S = 0.5, 10.0

STREAM_ID, STREAM_INDEX, STREAM_LAST = "stream-id", "stream-index", "stream-last-message"
ERROR_KIND = "streamapp.error.kind"


class ChunkStreams:
    """Opens the streams of records.

    Args:
        send: Of the running producer.
        topic: Name of the topic, with as many partitions as the requests.
        clock: Monotonic, seconds.
    """

    def __init__(self, send: Send, *, topic: str, clock: Callable[[], float]) -> None:
        self._send = send
        self._topic = topic
        self._clock = clock
        self._paused_until = float("-inf")

    def open(self, message: Message, id: str, lease: Lease) -> "ChunkStream":
        """Return the stream of a record's answer; one of its two ends must be called."""

        async def send(text: str, headers: dict[str, bytes]) -> None:
            if not lease.is_valid or self._clock() < self._paused_until:
                return
            try:
                with standing():
                    async with asyncio.timeout(SEND_S):
                        delivery = await self._send(
                            self._topic,
                            message.key,
                            text.encode(),
                            message.tp.partition,
                            None,
                            {STREAM_ID: id.encode(), **headers},
                        )
            except (KafkaError, ProducerSendError, TimeoutError) as error:
                self._paused_until = self._clock() + PAUSE_S
                log.warning(
                    "chunks.lost", topic=self._topic, error=type(error).__name__, pause_s=PAUSE_S
                )
            else:
                asyncio.ensure_future(delivery).add_done_callback(_heard)

        return ChunkStream(send, clock=self._clock)


class ChunkStream:
    """Takes the chunks of one answer and sends them on, a tenth of a second's worth at a time.

    Another attempt of the provider writes another text: its chunks count from 0 again.
    """

    def __init__(self, send: Callable[..., Any], *, clock: Callable[[], float]) -> None:
        self._send = send
        self._clock = clock
        self._index = 0
        self._held = ""
        self._sent_at = float("-inf")

    @property
    def is_open(self) -> bool:
        """Chunks that count from 0 again take the place of those before."""
        return True

    async def begin(self, *, is_cached: bool = False) -> None:
        """Begin the text of an attempt."""
        self._index, self._held = 0, ""

    async def add(self, text: str) -> None:
        """Take the next chunk."""
        self._held += text
        if self._clock() - self._sent_at >= EVERY_S:
            await self._flush()

    async def retract(self) -> None:
        """Begin again: whoever reads chunks takes those from 0 on as another text."""
        await self.begin()

    async def add_call(self, delta: CallDelta) -> None:
        """Pass it over: calls are in the response record."""

    async def end(self, output: Any) -> None:
        """Send what is left, as the last one; the whole output where there were no chunks."""
        if not self._index and not self._held:
            await give_whole(self, output)
        await self._flush(last=True)

    async def fail(self, failure: Failure) -> None:
        """End the stream without an answer: the record is a dead letter."""
        self._held = ""
        await self._flush({ERROR_KIND: failure.kind.value.encode()}, last=True)

    async def _flush(self, headers: dict[str, bytes] | None = None, *, last: bool = False) -> None:
        text, self._held = self._held, ""
        place = {STREAM_INDEX: b"%d" % self._index, STREAM_LAST: b"true" if last else b"false"}
        self._index += 1
        self._sent_at = self._clock()
        await self._send(text, place | (headers or {}))


def _heard(delivery: "asyncio.Future[Any]") -> None:
    if not delivery.cancelled() and (error := delivery.exception()):
        log.warning("chunks.lost", error=type(error).__name__)
