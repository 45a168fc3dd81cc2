"""The consumer, with a short way for records that the stream has room for.

Faust hands each record over by four tasks: one for the hand-over, three that watch for reasons
to give it up. A hand-over to a queue that is not full never waits, so that the tasks cost more
CPU than all else that Faust does with a record, and the loop turns several times for each.
"""

from collections.abc import Coroutine, Generator, Sequence
from typing import Any

from faust.transport.drivers.aiokafka import Consumer as AIOKafkaConsumer
from mode import Service
from mode.services import WaitArgT, WaitResults


class Feeding(Service):
    """Runs a hand-over at once, and waits in Faust's way for the one that has to wait."""

    async def wait_first(self, *coros: WaitArgT, timeout: Any = None) -> WaitResults:
        """Return when the first of ``coros`` has ended, or the consumer stops.

        Raises:
            Exception: As of the one that ended.
        """
        first, *others = coros
        if not isinstance(first, Coroutine):
            return await super().wait_first(*coros, timeout=timeout)
        try:
            awaited = first.send(None)
        except StopIteration as end:
            _close(others)
            return WaitResults([first], [end.value], False)
        except BaseException:
            _close(others)
            raise
        return await super().wait_first(_Begun(first, awaited), *others, timeout=timeout)


class Consumer(Feeding, AIOKafkaConsumer):
    """Faust's consumer, fed that way."""


class _Begun:
    """The rest of a coroutine that ran until it waited for ``awaited``."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            yield self._awaited
        except BaseException:
            self._coroutine.close()
            raise
        return (yield from self._coroutine.__await__())


def _close(coros: Sequence[WaitArgT]) -> None:
    for coro in coros:
        if isinstance(coro, Coroutine):
            coro.close()
