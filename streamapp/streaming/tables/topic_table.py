"""A global table whose changelog is a topic of ours: every worker reads what is appended to it."""

import faust
from faust.tables.globaltable import GlobalTable


class TopicTable(GlobalTable):
    """Reads ``topic``, of one partition, whole and event by event; what it tells is for subclasses.

    Args:
        app: Its workers all hold the whole table.
        name: Of the table.
        topic: Read from its beginning at every start: nothing is kept on a disk.
    """

    def __init__(self, app: faust.App, *, name: str, topic: str) -> None:
        self._topic = topic
        super().__init__(
            app,
            name=name,
            # With a host, since yarl takes an address of a scheme alone for none.
            store="memory://tables",
            key_type=bytes,
            value_type=bytes,
            partitions=1,
            # Faust passes on one event at a time; with more it holds them back for company.
            recovery_buffer_size=1,
            standby_buffer_size=1,
            is_global=True,
            beacon=app.tables.beacon,
        )

    async def begin_anew(self) -> None:
        """Hear that the topic was made anew: it will be read from its beginning.

        Raises:
            KafkaError: No broker answered; it is told again.
        """

    def _changelog_topic_name(self) -> str:
        return self._topic
