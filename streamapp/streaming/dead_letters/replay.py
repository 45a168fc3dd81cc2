"""Sends the records of dead letters again: as they were, paced, counted, and each only once."""

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Container, Mapping
from typing import Any, Literal

from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError

from streamapp.records.dead_letter import ATTEMPTS, FIRST_FAILURE, REPLAYS
from streamapp.settings import Settings
from streamapp.streaming.dead_letters.stored import Letter
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


def targets(settings: Settings) -> Mapping[str, int]:
    """Return the topics that records are sent back to, and how many partitions they have."""
    return {settings.topic("requests"): settings.partitions, settings.topic("prompts"): 1}


def verdict(letter: Letter, targets: Container[str], replayed: Container[bytes]) -> Result:
    """Return ``sent`` where the record may be sent again, or why not.

    Args:
        letter: Holds the record.
        targets: Topics that may be written to: the name comes from a header.
        replayed: Marks of the records that were sent again before.
    """
    if letter.origin[0] not in targets:
        return "foreign"
    if letter.mark in replayed:
        return "replayed"
    if letter.is_omitted or (letter.key is None and letter.value is None):
        return "omitted"
    return "looping" if letter.earlier.replays >= MAX_REPLAYS else "sent"


class Replay:
    """Sends records again.

    Args:
        settings: Name the topics; each record goes to the one that it stood on.
        send: Of a running producer.
        clock: Monotonic, seconds.
        sleep: Paces, seconds.
    """

    def __init__(
        self,
        settings: Settings,
        send: Send,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._send = send
        self._clock = clock
        self._sleep = sleep
        self._notes = settings.topic("requests-dlt-replays")
        self._targets = targets(settings)

    async def __call__(
        self,
        letters: AsyncIterable[Letter],
        replayed: set[bytes],
        *,
        rate_per_s: float,
        on_result: Callable[[Letter, Result], object],
    ) -> None:
        """Send what may be sent, in its order.

        Args:
            letters: Which ones.
            replayed: Marks of those that were sent again before; grows.
            rate_per_s: How many a second at most.
            on_result: Told what became of each, for one that is sent after its delivery.
        """
        is_broken = False
        slots = asyncio.Semaphore(AHEAD)
        finishing: set[asyncio.Task[None]] = set()

        async def finish(letter: Letter, delivery: Awaitable[Any]) -> None:
            nonlocal is_broken
            try:
                # A cancelled task must not cancel the producer's own future.
                await asyncio.shield(delivery)
                # Behind the delivery: a crash between the two sends a record twice, never not.
                await (await self._note(letter))
            except (KafkaError, ProducerSendError):
                is_broken = True
                on_result(letter, "undelivered")
            else:
                on_result(letter, "sent")
            finally:
                slots.release()

        due_at = self._clock()
        try:
            async for letter in letters:
                result = "undelivered" if is_broken else verdict(letter, self._targets, replayed)
                if result != "sent":
                    on_result(letter, result)
                    continue
                replayed.add(letter.mark)
                due_at = max(due_at, self._clock() - CATCH_UP_S)
                await self._sleep(max(0.0, due_at - self._clock()))
                due_at += 1 / rate_per_s
                await slots.acquire()
                # Begun here, in order; its end is awaited beside the next ones.
                task = asyncio.create_task(finish(letter, await self._again(letter)))
                finishing.add(task)
                task.add_done_callback(finishing.discard)
        finally:
            # Also when it is interrupted: what was sent must be noted.
            await asyncio.gather(*finishing)

    async def _again(self, letter: Letter) -> Awaitable[Any]:
        topic, partition, _ = letter.origin
        carried = {
            REPLAYS: str(letter.earlier.replays + 1),
            ATTEMPTS: str(letter.earlier.attempts),
            FIRST_FAILURE: letter.headers.get(FIRST_FAILURE, ""),
        }
        headers = [*letter.own, *((name, text.encode()) for name, text in carried.items())]
        is_there = partition < self._targets[topic]
        return await self._begun(
            topic, letter.key, letter.value, partition if is_there else None, headers
        )

    async def _note(self, letter: Letter) -> Awaitable[Any]:
        return await self._begun(self._notes, None, letter.mark, letter.partition, None)

    async def _begun(self, *record: Any) -> Awaitable[Any]:
        topic, key, value, partition, headers = record
        try:
            return await self._send(topic, key, value, partition, None, headers)
        except (KafkaError, ProducerSendError) as error:
            failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed
