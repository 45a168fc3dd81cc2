"""Which answers of the group's coordinator tell that this worker is a member; facts of aiokafka."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.group import HeartbeatRequest

from streamapp.streaming.app.group_member import note_membership
from streamapp.streaming.window.membership import Membership


class Coordinator:
    """The heartbeat and the sync of aiokafka's coordinator, over a scripted broker."""

    _do_heartbeat = GroupCoordinator._do_heartbeat
    _heartbeat_routine = GroupCoordinator._heartbeat_routine

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.group_id, self.generation, self.member_id = "g", 4, "m"
        self.coordinator_id = 1
        self.was_reset = self.was_asked_to_rejoin = False

    async def _send_req(self, request: Any) -> Any:
        assert isinstance(request, HeartbeatRequest)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(error_code=answer)

    def reset_generation(self) -> None:
        self.was_reset = True

    def request_rejoin(self) -> None:
        self.was_asked_to_rejoin = True

    def coordinator_dead(self) -> None: ...


def watched(coordinator: Coordinator) -> tuple[Membership, list[float]]:
    now = [0.0]
    membership = Membership(6, clock=lambda: now[0])
    note_membership(coordinator, membership)  # type: ignore[arg-type]
    now[0] = 5.0
    return membership, now


@pytest.mark.parametrize("answer", [0, 27], ids=["no error", "rebalance in progress"])
async def test_heartbeat_that_the_group_took_is_noted(answer: int) -> None:
    """A rebalance that goes on keeps the member for as long as it drains."""
    coordinator = Coordinator(answer)
    membership, _ = watched(coordinator)

    assert await coordinator._do_heartbeat()

    assert membership.age_s == 0
    assert membership.losses == 0


@pytest.mark.parametrize("answer", [15, 16, KafkaConnectionError()], ids=str)
async def test_heartbeat_that_nobody_took_is_not_noted(answer: int | Exception) -> None:
    """A coordinator that moved or is away neither renews nor ends the membership."""
    coordinator = Coordinator(answer)
    membership, _ = watched(coordinator)

    assert not await coordinator._do_heartbeat()

    assert membership.age_s == 5
    assert membership.losses == 0


@pytest.mark.parametrize("answer", [22, 25], ids=["illegal generation", "unknown member"])
async def test_member_that_the_group_does_not_know_is_lost(answer: int) -> None:
    """Aiokafka resets its generation there, and this is heard at once."""
    coordinator = Coordinator(answer)
    membership, _ = watched(coordinator)

    await coordinator._do_heartbeat()

    assert coordinator.was_reset
    assert not membership.is_current
    assert membership.losses == 1


async def test_time_of_the_sending_counts() -> None:
    """An answer that comes late renews the membership from when it was asked for."""
    coordinator = Coordinator(0)
    gate = asyncio.Event()
    send = coordinator._send_req

    async def slow(request: Any) -> Any:
        await gate.wait()
        return await send(request)

    coordinator._send_req = slow  # type: ignore[method-assign]
    membership, now = watched(coordinator)
    beating = asyncio.ensure_future(coordinator._do_heartbeat())
    await asyncio.sleep(0)
    now[0] = 8.0
    gate.set()
    await beating

    assert membership.age_s == 3
