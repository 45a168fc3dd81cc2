"""The client's thread as a member of its group: it notes each heartbeat that the group took.

Faust does not tell when the group last heard of this worker, and the app's own loop cannot know:
it runs on while the line is cut. So the answers of the group's coordinator are looked at where
they arrive.
"""

from typing import Any, cast

from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from streamapp.streaming.window.membership import Membership

#: What the coordinator answers to a heartbeat of a member: no error, and "a rebalance is going
#: on". Source: Kafka protocol guide, "Error codes".
NO_ERROR, REBALANCE_IN_PROGRESS = 0, 27


class GroupMemberThread(AIOKafkaConsumerThread):
    """Faust's thread of the client, which tells the app's `Membership` what the group answers."""

    async def on_start(self) -> None:
        """Start the client; it joins no group before it is subscribed."""
        await super().on_start()
        coordinator = self._ensure_consumer()._coordinator
        if isinstance(coordinator, GroupCoordinator):
            note_membership(coordinator, cast(Any, self.app).membership)


def note_membership(coordinator: GroupCoordinator, membership: Membership) -> None:
    """Have every answer of the group's coordinator noted, by the time its request was sent."""
    send, reset = coordinator._send_req, coordinator.reset_generation

    async def send_and_note(request: Any) -> Any:
        sent_at = membership.now()
        response = await send(request)
        if isinstance(request, HeartbeatRequest):
            is_member = response.error_code in (NO_ERROR, REBALANCE_IN_PROGRESS)
        else:
            is_member = isinstance(request, SyncGroupRequest) and response.error_code == NO_ERROR
        if is_member:
            membership.note(sent_at)
        return response

    def reset_and_lose() -> None:
        membership.lose()
        reset()

    coordinator._send_req = send_and_note
    coordinator.reset_generation = reset_and_lose
