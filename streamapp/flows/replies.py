"""The reply topics of a flow: where a record may ask its own answer to be sent."""

from collections.abc import Sequence

from streamapp.errors import InvalidRecord
from streamapp.flows.source_record import SourceRecord

#: The header that names the topic, and the one by which the asker knows its answer.
REPLY_TO, CORRELATION_ID = "reply-to", "correlation-id"


class ReplyTopics:
    """The topics that records may name in their header ``reply-to``.

    Args:
        topics: Those of the flow; without any the header means nothing to it.
    """

    def __init__(self, topics: Sequence[str] = ()) -> None:
        self._topics = frozenset(topics)

    def asked(self, record: SourceRecord) -> str | None:
        """Return the topic that the record asks for, or None.

        Raises:
            InvalidRecord: It is none of the flow's: nobody may have us write just anywhere.
        """
        if not self._topics or (topic := record.header_texts.get(REPLY_TO)) is None:
            return None
        if topic not in self._topics:
            raise InvalidRecord(f"header {REPLY_TO}: it names none of the flow's reply_topics")
        return topic
