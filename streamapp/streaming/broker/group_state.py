"""The state of a consumer group, as its coordinator describes it."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.errors import for_code

from streamapp.errors import StreamappError
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import admin_client

#: What to expect of a state. Source: Kafka's `ConsumerGroupState`.
MEANING = {
    "PreparingRebalance": "it waits for members to join again; one that died is given up after its"
    " session",
    "CompletingRebalance": "it waits for its leader's assignment; a leader that died is given up"
    " after its session",
    "Stable": "the others have all partitions, or this worker is not a member yet",
    "Empty": "it has no member: the join of this worker has not arrived",
    "Unknown": "its coordinator does not tell; the embedded broker never does",
    "Dead": "it does not exist: the join of this worker has not arrived",
}
#: States in which a join or an assignment is waited for, or may be: the embedded broker tells none,
#: and answers a join after half of the session.
WAITS = ("PreparingRebalance", "CompletingRebalance", "Unknown")


@dataclass(frozen=True, slots=True)
class GroupState:
    """What the coordinator says.

    Attributes:
        state: Kafka's word.
        members: Client id and host of each member, or its id.
    """

    state: str
    members: Sequence[str]

    @property
    def meaning(self) -> str:
        """What the group waits for, in words."""
        return MEANING.get(self.state, "")


async def group_state(settings: Settings) -> GroupState:
    """Return the state of the workers' group.

    Raises:
        KafkaError: No broker answered.
        StreamappError: The coordinator does not tell.
    """
    admin = admin_client(settings)
    try:
        await admin.start()
        [response] = await admin.describe_consumer_groups([settings.app_id])
    finally:
        await admin.close()
    code, _, state, _, _, members, *_ = response.groups[0]
    if code:
        raise StreamappError(for_code(code).__name__)
    return GroupState(state, [shown_member(*member[:3]) for member in members])


def shown_member(member_id: str, client_id: str, host: str) -> str:
    """Return client and host of a member; its id where the broker tells neither."""
    return f"{client_id} {host}".strip() or member_id
