import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError, RequestTimedOutError
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest
from structlog.testing import capture_logs

from streamapp.streaming.consumer.request_limits import (
    FETCH_S,
    JOIN_LOOK_S,
    limit_requests,
    request_limits,
)
from tests.support.virtual_time import run_virtually, virtual_clock

NODE = (1, ConnectionGroup.COORDINATION)


class _Client(AIOKafkaClient):
    """A client with one connection, whose broker answers after a time."""

    def __init__(self, answers_after_s: float) -> None:
        self.closed: list[str] = []
        self.answers_after_s = answers_after_s
        self._conns = {NODE: SimpleNamespace(send=self._answer, close=self._close)}

    async def ready(self, node_id: int, *, group: Any = ConnectionGroup.DEFAULT) -> bool:
        return True

    async def _answer(self, request: Any, *, expect_response: bool) -> str:
        await asyncio.sleep(self.answers_after_s)
        return "answer"

    def _close(self, reason: Any) -> None:
        self.closed.append(reason.name)

    def __del__(self, _warnings: Any = None) -> None: ...


def _ask(
    kind: Any, *, answers_after_s: float, waits: Sequence[bool] = ()
) -> tuple[Any, float, list[str]]:
    looks = list(waits)

    async def is_waited_for() -> bool:
        return looks.pop(0) if looks else True

    async def main() -> tuple[Any, float, list[str]]:
        client = _Client(answers_after_s)
        limit_requests(client, request_limits(10), is_waited_for=is_waited_for)
        request = kind.__new__(kind)
        try:
            answer = await client.send(1, request, group=ConnectionGroup.COORDINATION)
        except RequestTimedOutError as error:
            answer = type(error)
        return answer, virtual_clock(), client.closed

    return run_virtually(main())


@pytest.mark.parametrize(
    ("kind", "limit_s"),
    [
        (HeartbeatRequest, 5),
        (OffsetCommitRequest, 5),
        (OffsetFetchRequest, 5),
        (FindCoordinatorRequest, 10),
        (FetchRequest, FETCH_S),
    ],
)
def test_silent_connection_is_closed_at_the_limit(kind: type, limit_s: float) -> None:
    """The client begins a new one, far before its own limit, which a join needs."""
    assert _ask(kind, answers_after_s=179) == (
        RequestTimedOutError,
        limit_s,
        ["CONNECTION_TIMEOUT"],
    )


@pytest.mark.parametrize(
    ("kind", "seconds"), [(HeartbeatRequest, 4), (JoinGroupRequest, 120)], ids=["beat", "join"]
)
def test_answer_in_time_is_given(kind: type, seconds: float) -> None:
    """A slow broker is asked on, and a join has all its time."""
    assert _ask(kind, answers_after_s=seconds) == ("answer", seconds, [])


@pytest.mark.parametrize("kind", [JoinGroupRequest, SyncGroupRequest])
def test_join_that_has_not_arrived_is_sent_again(kind: type) -> None:
    """A group that waits for nobody at two looks in turn never got it."""
    waits = [True, False, True, False, False]

    assert _ask(kind, answers_after_s=179, waits=waits) == (
        RequestTimedOutError,
        len(waits) * JOIN_LOOK_S,
        ["CONNECTION_TIMEOUT"],
    )


def test_connection_that_was_just_closed_is_an_error_of_the_line() -> None:
    """What uvloop raises there would end the client's own tasks, and nobody would fetch again."""

    async def main() -> list[str]:
        client = _Client(0)

        async def closed(request: Any, *, expect_response: bool) -> str:
            raise RuntimeError("unable to perform operation; the handler is closed")

        client._conns[NODE].send = closed
        limit_requests(client, request_limits(10), is_waited_for=lambda: asyncio.sleep(0, True))
        for kind in (FetchRequest, ListOffsets):
            with pytest.raises(KafkaConnectionError):
                await client.send(1, kind.__new__(kind), group=ConnectionGroup.COORDINATION)
        return client.closed

    assert run_virtually(main()) == ["CONNECTION_BROKEN"] * 2


def test_refused_connection_is_not_called_silent() -> None:
    """Aiokafka's own errors keep their words: nobody was silent for 0 s."""

    class Refused(_Client):
        async def ready(self, node_id: int, *, group: Any = ConnectionGroup.DEFAULT) -> bool:
            return False

    async def main() -> list[str]:
        client = Refused(0)
        limit_requests(client, request_limits(10), is_waited_for=lambda: asyncio.sleep(0, True))
        for kind in (FetchRequest, FindCoordinatorRequest, ListOffsets):
            with pytest.raises(NodeNotReadyError):
                await client.send(1, kind.__new__(kind), group=ConnectionGroup.COORDINATION)
        return client.closed

    with capture_logs() as lines:
        assert run_virtually(main()) == []
    assert lines == []


def test_silent_node_is_told_once_until_it_answers() -> None:
    """While a broker is frozen, each request of each connection would be a line."""
    beat = HeartbeatRequest.__new__(HeartbeatRequest)
    group = ConnectionGroup.COORDINATION

    async def main() -> None:
        client = _Client(179)
        limit_requests(client, request_limits(10), is_waited_for=lambda: asyncio.sleep(0, True))

        async def be_silent(times: int) -> None:
            client.answers_after_s = 179
            for _ in range(times):
                with pytest.raises(RequestTimedOutError):
                    await client.send(1, beat, group=group)

        await be_silent(3)
        client.answers_after_s = 1
        await client.send(1, beat, group=group)
        await be_silent(2)

    with capture_logs() as lines:
        run_virtually(main())
    assert [line["event"] for line in lines] == ["kafka.connection_silent"] * 2


class ListOffsets:
    """A request without a limit of its own."""
