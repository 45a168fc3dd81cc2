"""The dead letters of one flow: the topic that they stand on, and where their records go back."""

from collections.abc import Mapping
from dataclasses import dataclass

from streamapp.flows.topics import FlowTopics
from streamapp.settings import Settings


@dataclass(frozen=True, slots=True)
class DeadLetterSource:
    """One dead-letter topic.

    Attributes:
        topic: Its name.
        partitions: How many it has.
        targets: Topics that records are sent back to, and how many partitions they have.
        notes: The topic of what was sent again, of all flows.
        note_partitions: How many that has.
    """

    topic: str
    partitions: int
    targets: Mapping[str, int]
    notes: str
    note_partitions: int

    @property
    def counts(self) -> dict[str, int]:
        """The partition counts of what is read."""
        return {self.topic: self.partitions, self.notes: self.note_partitions}


def requests_source(settings: Settings) -> DeadLetterSource:
    """Return the dead letters of request records, and of prompts."""
    return DeadLetterSource(
        topic=settings.topic("requests-dlt"),
        partitions=settings.partitions,
        targets={settings.topic("requests"): settings.partitions, settings.topic("prompts"): 1},
        notes=settings.topic("requests-dlt-replays"),
        note_partitions=settings.partitions,
    )


def flow_source(
    settings: Settings, flow: FlowTopics, counts: Mapping[str, int]
) -> DeadLetterSource:
    """Return the dead letters of a flow.

    Args:
        settings: Name the topic of notes.
        flow: Its topics.
        counts: How many partitions they have; 0 for one that does not exist yet.
    """
    return DeadLetterSource(
        topic=flow.dead_letters,
        partitions=counts.get(flow.dead_letters, 0),
        targets={flow.input: counts.get(flow.input, 0)},
        notes=settings.topic("requests-dlt-replays"),
        note_partitions=settings.partitions,
    )
