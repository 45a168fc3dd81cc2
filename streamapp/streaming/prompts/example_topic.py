"""The topic ``llm.examples``: sets of examples by key, the last one counts."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition

from streamapp.errors import PromptError
from streamapp.prompts.example_set import SET_LIMIT
from streamapp.settings import Settings
from streamapp.streaming.broker.log_ends import records_to_end
from streamapp.streaming.broker.security import log_reader_options
from streamapp.streaming.prompts.event_log import PARTITION


class ExampleTopic:
    """Reads the topic to its end whenever asked, outside of any consumer group.

    Attributes:
        sets: The bytes of each set, as of the last look; where they are fetched, of those that
            were asked for alone.
    """

    def __init__(self, settings: Settings) -> None:
        self.sets: dict[str, bytes] = {}
        self._settings = settings
        self._place = TopicPartition(settings.topic("examples"), PARTITION)
        self._consumer: AIOKafkaConsumer | None = None
        self._wanted: set[str] = set()
        self._turn = asyncio.Lock()

    async def fetch(self, name: str) -> bytes:
        """Return the newest set of that name.

        Raises:
            PromptError: There is none.
            KafkaError: No broker answered.
        """
        async with self._turn:
            if name not in self._wanted and self._consumer:
                self._consumer.seek(self._place, 0)  # it was passed over so far
            self._wanted.add(name)
            await self._catch_up(self._wanted)
        if name not in self.sets:
            raise PromptError("the topic has no such set")
        return self.sets[name]

    async def catch_up(self) -> None:
        """Take every set that is on the topic by now; a tombstone takes one away."""
        await self._catch_up(None)

    async def _catch_up(self, wanted: set[str] | None) -> None:
        consumer = self._consumer or await self._opened()
        async for record in records_to_end(consumer, self._place):
            self._take(record.key or b"", record.value, wanted)

    def _take(self, key: bytes, value: bytes | None, wanted: set[str] | None) -> None:
        name = key.decode(errors="replace")
        if wanted is not None and name not in wanted:
            return
        if value is None:
            self.sets.pop(name, None)
        else:
            self.sets[name] = value[: SET_LIMIT + 1]  # enough to refuse it

    async def aclose(self) -> None:
        """End the connection."""
        if self._consumer:
            await self._consumer.stop()
            self._consumer = None

    async def _opened(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            **log_reader_options(self._settings),
        )
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        consumer.assign([self._place])
        consumer.seek(self._place, 0)
        self._consumer = consumer
        return consumer
