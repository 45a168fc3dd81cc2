"""The state of a consumer group, as its coordinator describes it, or why it has none."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError, for_code

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

#: Kafka's topic of what groups commit. Each of its partitions coordinates some of the groups.
OFFSETS_TOPIC = "__consumer_offsets"
FACTOR = "offsets.topic.replication.factor"
NOT_MADE = f"{OFFSETS_TOPIC} cannot be made: {FACTOR}"
LIKELY = f"most often {NOT_MADE} is greater than the number of brokers; add brokers or lower it"
#: Between two questions for a coordinator, and the longest look at why there is none, seconds.
ASK_AGAIN_S, LOOK_S = 0.2, 3.0


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


async def missing_coordinator(settings: Settings, *, patience_s: float) -> str:
    """Return why the workers' group has no coordinator; empty where one is found in time.

    Args:
        settings: Name the group.
        patience_s: How long it is asked for: the first group of a cluster waits for its topic.

    Raises:
        KafkaError: No broker answered.
    """
    admin = admin_client(settings)
    clock = asyncio.get_running_loop().time
    try:
        await admin.start()
        ends_at = clock() + patience_s
        while True:
            try:
                await admin.find_coordinator(settings.app_id)
            except GroupCoordinatorNotAvailableError:
                if clock() >= ends_at:
                    return await _cause(admin)
            else:
                return ""
            await asyncio.sleep(ASK_AGAIN_S)
    finally:
        await admin.close()


async def no_coordinator(settings: Settings) -> str:
    """Return why the workers' group has no coordinator, as far as the cluster tells."""
    admin = admin_client(settings)
    try:
        async with asyncio.timeout(LOOK_S):
            await admin.start()
        return await _cause(admin)
    except (KafkaError, OSError):  # TimeoutError is one
        return LIKELY
    finally:
        await admin.close()


async def _cause(admin: AIOKafkaAdminClient) -> str:
    try:
        async with asyncio.timeout(LOOK_S):
            nodes = [broker["node_id"] for broker in (await admin.describe_cluster())["brokers"]]
            there = [t for t in await admin.describe_topics() if t["topic"] == OFFSETS_TOPIC]
            if there:
                return cause_of_silence([part["leader"] for part in there[0]["partitions"]])
            return cause_of_absence(await _factor(admin, nodes), len(nodes))
    except (KafkaError, OSError):
        return LIKELY


async def _factor(admin: AIOKafkaAdminClient, nodes: Sequence[int]) -> int | None:
    """Return how many replicas the brokers want at most; None where they do not tell."""
    asked = [ConfigResource(ConfigResourceType.BROKER, str(node), {FACTOR: None}) for node in nodes]
    found = [
        int(entry[1])
        for answer in await admin.describe_configs(asked)
        for code, _, _, _, entries in answer.resources
        for entry in entries
        if not code and entry[0] == FACTOR
    ]
    return max(found, default=None)


def cause_of_absence(factor: int | None, brokers: int) -> str:
    """Return why the topic that groups are coordinated by is not there.

    Args:
        factor: How many replicas it is to have; None where that is not told.
        brokers: How many there are now.
    """
    if factor is None:
        return f"{LIKELY} (there {_counted(brokers)} now)"
    if factor > brokers:
        return f"{NOT_MADE} is {factor} and there {_counted(brokers)}; add brokers or lower it"
    return f"{OFFSETS_TOPIC} is not there, or not shown to this user: see the broker's log"


def _counted(brokers: int) -> str:
    return "is 1 broker" if brokers == 1 else f"are {brokers} brokers"


def cause_of_silence(leaders: Sequence[int]) -> str:
    """Return why nobody answers for the group, though the topic is there.

    Args:
        leaders: Of its partitions; -1 where one has none.
    """
    if gone := sum(leader < 0 for leader in leaders):
        return (
            f"{gone} of {len(leaders)} partitions of {OFFSETS_TOPIC} have no leader: start the"
            " brokers that hold them"
        )
    return f"{OFFSETS_TOPIC} is there, and its broker does not answer for it: see the broker's log"


def shown_member(member_id: str, client_id: str, host: str) -> str:
    """Return client and host of a member; its id where the broker tells neither."""
    return f"{client_id} {host}".strip() or member_id
