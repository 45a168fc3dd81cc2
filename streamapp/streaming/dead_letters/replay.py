"""The replay of dead letters: each record sent again as it was, once, at a rate."""

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Container
from typing import Any, Literal

from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata
from faust.exceptions import ProducerSendError

from streamapp.llm.caller import CALLER, HEADER
from streamapp.records.dead_letter import ATTEMPTS, FIRST_FAILURE, REPLAYS
from streamapp.streaming.dead_letters.source import DeadLetterSource
from streamapp.streaming.dead_letters.stored import StoredDeadLetter
from streamapp.streaming.delivery.emitter import Send

#: A record that failed again this often is not sent again: its cause is not gone.
MAX_REPLAYS = 5
#: Records sent ahead of the oldest one that is not delivered yet.
AHEAD = 200
#: A pause is made up for up to so many seconds, so that late timers do not lower the rate.
CATCH_UP_S = 0.05

#: ``replayed``: it was sent again before, and a failure stands further on as a dead letter of
#: its own. ``looping``: it failed again `MAX_REPLAYS` times. ``omitted``: the dead letter does
#: not hold the record. ``foreign``: it is of no topic of ours. ``undelivered``: the broker did
#: not take it, or one before it.
Result = Literal["sent", "replayed", "looping", "omitted", "foreign", "undelivered"]


def verdict(
    dead_letter: StoredDeadLetter, targets: Container[str], replayed: Container[bytes]
) -> Result:
    """Return ``sent`` where the record may be sent again, or why not.

    Args:
        dead_letter: Holds the record.
        targets: Topics that may be written to: the name comes from a header.
        replayed: Marks of the records that were sent again before.
    """
    if dead_letter.origin[0] not in targets:
        return "foreign"
    if dead_letter.is_in(replayed):
        return "replayed"
    if dead_letter.is_omitted or (dead_letter.key is None and dead_letter.value is None):
        return "omitted"
    return "looping" if dead_letter.earlier.replays >= MAX_REPLAYS else "sent"


class Replay:
    """Sends records again.

    Args:
        source: Names the topics; each record goes to the one that it stood on.
        send: Of a running producer.
        clock: Monotonic, seconds.
        sleep: Paces, seconds.
    """

    def __init__(
        self,
        source: DeadLetterSource,
        send: Send,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._send = send
        self._clock = clock
        self._sleep = sleep
        self._source = source
        self._targets = source.targets

    async def __call__(
        self,
        dead_letters: AsyncIterable[StoredDeadLetter],
        replayed: set[bytes],
        *,
        rate_per_s: float,
        on_result: Callable[[StoredDeadLetter, Result], object],
    ) -> None:
        """Send what may be sent, in its order.

        Args:
            dead_letters: Which ones.
            replayed: Marks of those that were sent again before; grows.
            rate_per_s: How many a second at most.
            on_result: Told what became of each, for one that is sent after its delivery.
        """
        is_broken = False
        slots = asyncio.Semaphore(AHEAD)
        finishing: set[asyncio.Task[None]] = set()

        async def finish(dead_letter: StoredDeadLetter, delivery: Awaitable[Any]) -> None:
            nonlocal is_broken
            try:
                # A cancelled task must not cancel the producer's own future.
                await asyncio.shield(delivery)
                # Behind the delivery: a crash between the two sends a record twice, never not.
                await (await self._note(dead_letter))
            except (KafkaError, ProducerSendError):
                is_broken = True
                on_result(dead_letter, "undelivered")
            else:
                on_result(dead_letter, "sent")
            finally:
                slots.release()

        due_at = self._clock()
        try:
            async for dead_letter in dead_letters:
                result = (
                    "undelivered" if is_broken else verdict(dead_letter, self._targets, replayed)
                )
                if result != "sent":
                    on_result(dead_letter, result)
                    continue
                replayed.add(dead_letter.mark)
                due_at = max(due_at, self._clock() - CATCH_UP_S)
                await self._sleep(max(0.0, due_at - self._clock()))
                due_at += 1 / rate_per_s
                await slots.acquire()
                # Begun here, in order; its end is awaited beside the next ones.
                task = asyncio.create_task(finish(dead_letter, await self._again(dead_letter)))
                finishing.add(task)
                task.add_done_callback(finishing.discard)
        finally:
            # Also when it is interrupted: what was sent must be noted.
            await asyncio.gather(*finishing)

    async def instead(self, dead_letter: StoredDeadLetter, value: bytes) -> RecordMetadata:
        """Send a corrected value in place of the record; return where it stands.

        It has the record's key and headers and no history: what was wrong is not in it. But it is
        a record of the HTTP key that sends it, where that has a name: that one's models and usage
        are meant. The dead letter is noted as sent again.

        Raises:
            KafkaError, ProducerSendError: The broker did not take it.
        """
        headers = dead_letter.own
        if caller := CALLER.get():
            others = (pair for pair in headers if pair[0] != HEADER)
            headers = [*others, (HEADER, caller.encode())]
        place = await (await self._sent(dead_letter, value, headers))
        await (await self._note(dead_letter))
        return place

    async def _again(self, dead_letter: StoredDeadLetter) -> Awaitable[Any]:
        carried = {
            REPLAYS: str(dead_letter.earlier.replays + 1),
            ATTEMPTS: str(dead_letter.earlier.attempts),
            FIRST_FAILURE: dead_letter.headers.get(FIRST_FAILURE, ""),
        }
        headers = [*dead_letter.own, *((name, text.encode()) for name, text in carried.items())]
        return await self._sent(dead_letter, dead_letter.value, headers)

    async def _sent(
        self, dead_letter: StoredDeadLetter, value: bytes | None, headers: Collection[Any]
    ) -> Awaitable[Any]:
        topic, partition, _ = dead_letter.origin
        is_there = partition < self._targets[topic]
        place = partition if is_there else None
        return await self._begun(topic, dead_letter.key, value, place, list(headers))

    async def _note(self, dead_letter: StoredDeadLetter) -> Awaitable[Any]:
        partition = dead_letter.partition % self._source.note_partitions
        return await self._begun(self._source.notes, None, dead_letter.mark, partition, None)

    async def _begun(self, *record: Any) -> Awaitable[Any]:
        topic, key, value, partition, headers = record
        try:
            return await self._send(topic, key, value, partition, None, headers)
        except (KafkaError, ProducerSendError) as error:
            failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed
