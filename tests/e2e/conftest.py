"""What every test on a real broker gets."""

import logging

import pytest


@pytest.fixture(autouse=True)
def _quiet_clients(caplog: pytest.LogCaptureFixture) -> None:
    """Keep the test's own Kafka clients quiet while a broker is away on purpose."""
    caplog.set_level(logging.CRITICAL, logger="aiokafka")
