"""What every test on a real broker gets."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.kafka import KafkaBroker
from tests.support.kafka_cluster import KafkaCluster
from tests.support.shared import processes
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


@pytest.fixture
def proxied_kafka(kafka: KafkaBroker, pytestconfig: pytest.Config) -> ProxiedKafka:
    """The broker that workers reach through a proxy; the test leaves the broker running."""
    number, _ = processes(pytestconfig)
    name = f"PROXIED{number}"
    proxy = TcpProxy(kafka.listener_ports[name], port=kafka.advertised_ports[name])
    return ProxiedKafka(kafka, proxy)


@pytest.fixture
async def cluster(kafka_installed: None, tmp_path: Path) -> AsyncIterator[KafkaCluster]:
    """Three running brokers."""
    cluster = KafkaCluster(tmp_path)
    try:
        await cluster.start()
        yield cluster
    finally:
        cluster.kill9()
