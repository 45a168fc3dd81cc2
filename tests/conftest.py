"""What every test gets: nothing of its machine, no network beyond loopback, a broker on request."""

import asyncio
import gc
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.absent import absent
from tests.support.forked import ForkServer
from tests.support.kafka import STEADY, KafkaBroker, kafka_jars
from tests.support.kept_logs import pytest_runtest_makereport, pytest_runtest_setup
from tests.support.machine import guarded, hide
from tests.support.maven import MavenUnavailable
from tests.support.own_logging import own_logging
from tests.support.packing import longest_first
from tests.support.process import free_port
from tests.support.shared import Shared, processes

__all__ = ["pytest_runtest_makereport", "pytest_runtest_setup"]

# How fast a machine is says nothing about a property, and what it once found lies in no folder of
# the machine: a failure prints the line that brings its example back.
settings.register_profile(
    "suite",
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what is imported until now for good: each look for garbage would go through it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a property the time of the many tests that it is; put files that take long first."""
    for item in items:
        is_property = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if is_property and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(240))
    longest_first(items)


@pytest.fixture(scope="session", autouse=True)
def _hidden_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the machine's variables and HOME, also from what is made once for many tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        hide(monkeypatch, tmp_path_factory.mktemp("home"))
        yield


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Start in an empty folder, with ports of the test's own only, and with logging as it was."""
    monkeypatch.chdir(tmp_path)
    with guarded(monkeypatch), own_logging():
        yield


@pytest.fixture(scope="session")
def kafka_installed() -> None:
    """Skip where Apache Kafka cannot run; in CI that is a failure."""
    try:
        kafka_jars()
    except MavenUnavailable as error:
        absent(error)


@pytest.fixture(scope="session")
def kafka(
    kafka_installed: None, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> KafkaBroker:
    """One Apache Kafka for all tests that leave it running; use own topic names.

    The processes of a run share it. Each has a listener of its own, `PROXIED` with its number, that
    sends clients to a port at which nothing listens until a test's proxy does.
    """
    _, count = processes(pytestconfig)
    folder = tmp_path_factory.getbasetemp()
    if hasattr(pytestconfig, "workerinput"):
        folder = folder.parent
    shared: Shared[KafkaBroker] = Shared(folder)
    # When all is over: the others may go on for longer than the last test of this process may.
    pytestconfig.add_cleanup(shared.leave)
    if sys.platform == "linux":
        ForkServer.running()  # imports what workers need while the broker starts
    names = [f"PROXIED{number}" for number in range(count)]

    def made() -> KafkaBroker:
        return KafkaBroker(
            folder / "kafka",
            config=STEADY,
            listeners=dict.fromkeys(names, "PLAINTEXT"),
            advertised={name: free_port() for name in names},
        )

    return asyncio.run(shared.join(made))


@pytest.fixture
def own_kafka(kafka_installed: None, tmp_path: Path) -> Iterator[KafkaBroker]:
    """An Apache Kafka for one test that stops it; the test starts it."""
    broker = KafkaBroker(tmp_path / "kafka")
    yield broker
    broker.kill9()
