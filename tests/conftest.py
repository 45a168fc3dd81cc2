"""What every test gets: a clean environment, no network beyond loopback, a broker on request."""

import asyncio
import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.absent import absent
from tests.support.kafka import KafkaBroker, KafkaUnavailable, kafka_jars


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the developer's settings: variables, `.env` and `streamapp.toml`."""
    for name in list(os.environ):
        if name.startswith(("STREAMAPP_", "OPENAI_", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections and name look-ups that leave this machine."""
    connect, getaddrinfo = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _require_loopback(address[0])
        connect(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _require_loopback(host)
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)


def _require_loopback(host: str | bytes | None) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        is_ours = ipaddress.ip_address(name).is_loopback
    except ValueError:
        is_ours = False
    if not is_ours:
        raise OSError(f"tests reach loopback only, not {name}")


@pytest.fixture(scope="session")
def kafka_installed() -> None:
    """Skip where Apache Kafka cannot run; in CI that is a failure."""
    try:
        kafka_jars()
    except KafkaUnavailable as error:
        absent(error)


@pytest.fixture(scope="session")
def kafka(kafka_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One Apache Kafka for all tests that leave it running; use own topic names."""
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"))
    try:
        asyncio.run(broker.start())
        yield broker
    finally:
        asyncio.run(broker.stop())


@pytest.fixture
def own_kafka(kafka_installed: None, tmp_path: Path) -> Iterator[KafkaBroker]:
    """An Apache Kafka for one test that stops it; the test starts it."""
    broker = KafkaBroker(tmp_path / "kafka")
    yield broker
    asyncio.run(broker.stop())
