"""The state of flows as Kafka tells it: partitions, lag, and what their dead-letter topics hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streamapp.flows.topics import FlowTopics
from streamapp.settings import Settings
from streamapp.settings.flows import REQUESTS
from streamapp.streaming.broker.log_ends import log_ends
from streamapp.streaming.broker.security import log_reader_options
from streamapp.streaming.broker.topics import admin_client, partition_counts


@dataclass(frozen=True, slots=True)
class FlowState:
    """One flow.

    Attributes:
        partitions: Of its input; 0 where that does not exist.
        committed: Records done, counted by offsets, over all partitions that were read.
        lag: Records behind the committed offsets, those of partitions that were never read
            included.
        dead_letters: Dead letters that its topic holds, sent again or not.
        is_begun: Whether the group has an offset of any partition, be it 0.
    """

    name: str
    topics: FlowTopics
    partitions: int
    committed: int
    lag: int
    dead_letters: int
    is_begun: bool = True

    def fields(
        self,
        *,
        rate_per_s: float | None,
        cost_usd_day: Decimal | None,
        unpriced_day: int | None,
        cost_counted_s: float | None,
    ) -> dict[str, Any]:
        """Return the state for machines.

        Args:
            rate_per_s: Records done a second; None where that is not known.
            cost_usd_day: What it cost in the last 24 hours; None where that is not known.
            unpriced_day: Answers of that time whose price is unknown; None where no worker says.
            cost_counted_s: Seconds of that time for which all workers have counted, each from its
                start; None where no worker says.
        """
        return {
            "name": self.name,
            "input": self.topics.input,
            "outputs": list(self.topics.outputs),
            "reply_topics": list(self.topics.reply_topics),
            "dead_letter_topic": self.topics.dead_letters,
            "partitions": self.partitions,
            "lag": self.lag,
            "rate_per_s": rate_per_s,
            "dead_letters": self.dead_letters,
            "cost_usd_day": None if cost_usd_day is None else format(cost_usd_day, "f"),
            "unpriced_day": unpriced_day,
            "cost_counted_s": cost_counted_s,
        }


def with_requests(settings: Settings, flows: Mapping[str, FlowTopics]) -> dict[str, FlowTopics]:
    """Return the flows with the built-in one before them."""
    topic = settings.topic
    own = FlowTopics(topic("requests"), (topic("responses"),), topic("requests-dlt"))
    return {REQUESTS: own, **flows}


async def unread_line(settings: Settings) -> str:
    """Return a line where the group has read nothing of requests that are there; else nothing.

    Raises:
        KafkaError: No broker answered.
    """
    [state] = await flow_states(settings, with_requests(settings, {}))
    if state.is_begun or not state.lag:
        return ""
    return (
        f"the group {settings.app_id!r} has read nothing of {state.topics.input}, which holds"
        f" {state.lag:,} {'record: it is' if state.lag == 1 else 'records: all of them are'}"
        " answered and paid for. If another group has done"
        " so already, this is another STREAMAPP_APP_ID, or needs another STREAMAPP_TOPIC_PREFIX"
    )


async def flow_states(settings: Settings, flows: Mapping[str, FlowTopics]) -> list[FlowState]:
    """Return the state of each flow now.

    Raises:
        KafkaError: No broker answered.
    """
    names = [name for flow in flows.values() for name in (flow.input, flow.dead_letters)]
    counts = await partition_counts(settings, names)
    places = [TopicPartition(name, n) for name, count in counts.items() for n in range(count)]
    inputs = [place for place in places if place.topic in {flow.input for flow in flows.values()}]
    admin = admin_client(settings)
    consumer = AIOKafkaConsumer(**log_reader_options(settings))
    try:
        await admin.start()
        # Named one by one: the embedded broker hangs up on a question for all of a group.
        group = (
            await admin.list_consumer_group_offsets(settings.app_id, partitions=inputs)
            if inputs
            else {}
        )
        await consumer.start()
        begins = await consumer.beginning_offsets(places) if places else {}
        ends = await log_ends(consumer, places)
    finally:
        await admin.close()
        await consumer.stop()
    found = []
    for name, flow in flows.items():
        committed = lag = 0
        is_begun = False
        for n in range(counts.get(flow.input, 0)):
            place = TopicPartition(flow.input, n)
            at = group[place].offset if place in group else -1
            committed += max(0, at)
            is_begun |= at >= 0
            lag += max(0, ends[place] - max(at, begins[place]))
        dead = [
            TopicPartition(flow.dead_letters, n) for n in range(counts.get(flow.dead_letters, 0))
        ]
        held = sum(ends[place] - begins[place] for place in dead)
        count = counts.get(flow.input, 0)
        found.append(FlowState(name, flow, count, committed, lag, held, is_begun))
    return found
