"""What every test on a real broker gets."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.kafka import KafkaBroker
from tests.support.process import free_port
from tests.support.tcp_proxy import TcpProxy


@pytest.fixture(autouse=True)
def _quiet_clients(caplog: pytest.LogCaptureFixture) -> None:
    """Keep the test's own Kafka clients quiet while a broker is away on purpose."""
    caplog.set_level(logging.CRITICAL, logger="aiokafka")


@dataclass(frozen=True, slots=True)
class ProxiedKafka:
    """A broker with a listener behind a proxy.

    Attributes:
        broker: Its own address goes past the proxy: for the test's clients and healthy workers.
        proxy: To be entered by the test; its `url` is the broker of the workers it cuts off.
    """

    broker: KafkaBroker
    proxy: TcpProxy


@pytest.fixture(scope="session")
def _proxied_broker(
    kafka_installed: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[KafkaBroker, int]]:
    """Run one broker for all tests that cut workers off; yield it and the proxy's port."""
    port = free_port()
    broker = KafkaBroker(
        tmp_path_factory.mktemp("proxied-kafka"),
        listeners={"PROXIED": "PLAINTEXT"},
        advertised={"PROXIED": port},
    )
    try:
        asyncio.run(broker.start())
        yield broker, port
    finally:
        asyncio.run(broker.stop())


@pytest.fixture
def proxied_kafka(_proxied_broker: tuple[KafkaBroker, int]) -> ProxiedKafka:
    """A broker that workers reach through a proxy; the test leaves the broker running."""
    broker, port = _proxied_broker
    return ProxiedKafka(broker, TcpProxy(broker.listener_ports["PROXIED"], port=port))
