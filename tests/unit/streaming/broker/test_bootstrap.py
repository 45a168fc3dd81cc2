"""Bootstrapping again where no broker is named."""

from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from streamapp.streaming.broker.bootstrap import (
    PAUSE_S,
    until_brokers_are_named,
    until_started,
)


class Client:
    """A client whose looks find what is given, one after the other."""

    def __init__(self, *looks: set[str] | Exception) -> None:
        self._looks = list(looks)
        self._brokers: set[str] = set()
        self.cluster: Any = self

    def brokers(self) -> set[str]:
        return self._brokers

    async def bootstrap(self) -> None:
        found = self._looks.pop(0)
        if isinstance(found, Exception):
            raise found
        self._brokers = found


async def test_client_that_knows_no_broker_looks_until_it_does() -> None:
    """An empty answer and an unreachable server are asked again, after a pause each."""
    client = Client(set(), set(), KafkaConnectionError(), {"broker-1"})
    await client.bootstrap()
    pauses: list[float] = []

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)

    await until_brokers_are_named(client, sleep=sleep)

    assert client.brokers() == {"broker-1"}
    assert pauses == [PAUSE_S] * 3


async def test_client_that_knows_brokers_is_left_alone() -> None:
    """Nothing is asked a second time."""
    client = Client({"broker-1"})
    await client.bootstrap()

    await until_brokers_are_named(client)

    assert client.brokers() == {"broker-1"}


async def test_client_that_no_broker_answers_is_closed_and_made_again() -> None:
    """What is started at last is a fresh one; other errors end the start."""
    outcomes: list[Exception | None] = [KafkaConnectionError(), KafkaConnectionError(), None]
    seen: list[str] = []

    async def start() -> None:
        seen.append("start")
        if outcome := outcomes.pop(0):
            raise outcome

    async def undo() -> None:
        seen.append("undo")

    async def sleep(pause_s: float) -> None:
        seen.append(f"sleep {pause_s}")

    await until_started(start, undo, sleep=sleep)

    once = ["start", "undo", f"sleep {PAUSE_S}"]
    assert seen == [*once, *once, "start"]
    outcomes[:] = [ValueError("the client's own")]
    with pytest.raises(ValueError, match="own"):
        await until_started(start, undo, sleep=sleep)
