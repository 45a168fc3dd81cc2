"""A broker whose quota is exceeded: what it would not read is not sent, nor written twice."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import RequestTimedOutError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest, ProduceResponse_v8

from streamapp.streaming.delivery.throttles import WAIT_S, heed_throttles
from tests.fakes import FakeClock


class Client:
    """A client whose brokers throttle for a second."""

    def __init__(self, clock: FakeClock) -> None:
        self.sent: list[tuple[int, float]] = []
        self._clock = clock

    async def send(self, node_id: int, request: Any, **fields: Any) -> Any:
        self.sent.append((node_id, self._clock()))
        return SimpleNamespace(throttle_time_ms=1000)


def produce() -> ProduceRequest:
    return ProduceRequest(transactional_id=None, required_acks=-1, timeout=1, topics=[])


async def test_nothing_is_sent_to_a_broker_that_reads_nothing() -> None:
    """Until its time is over; other brokers, and other requests, go on."""
    clock = FakeClock()
    client = Client(clock)
    began = clock()

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    heed_throttles(client, clock=clock, sleep=sleep)

    await client.send(1, produce())
    refused = 0
    while len(client.sent) < 2:
        try:
            await client.send(1, produce())
        except RequestTimedOutError:
            refused += 1
            assert refused < 10
    assert RequestTimedOutError.retriable
    node, at = client.sent[1]
    assert node == 1
    assert at - began == pytest.approx(1.0)
    assert refused == round(1.0 / WAIT_S) - 1

    at = clock()
    await client.send(2, produce())
    await client.send(1, MetadataRequest([]))
    assert client.sent[2:] == [(2, at), (1, at)]


def test_answers_of_the_client_tell_of_throttles() -> None:
    """An upgrade of aiokafka that names it otherwise is noticed."""
    assert "throttle_time_ms" in ProduceResponse_v8.SCHEMA.names
