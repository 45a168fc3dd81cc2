"""What a command sets up for its logging in a test is gone in the next one."""

import io
import logging

import structlog

from streamapp.telemetry.logging import configure_logging
from tests.support.own_logging import own_logging


def test_set_up_ends_with_its_block() -> None:
    """Lines of any level come out again, in structlog's and the library's way."""
    level, handlers = logging.root.level, logging.root.handlers[:]
    asked = logging.getLogger("asyncio").level

    with own_logging():
        configure_logging(level="error", format="json", stream=io.StringIO())
        assert logging.root.level == logging.ERROR
        assert structlog.is_configured()
        logging.disable(logging.CRITICAL)

    assert (logging.root.level, logging.root.handlers) == (level, handlers)
    assert logging.getLogger("asyncio").level == asked
    assert logging.getLogger("asyncio").isEnabledFor(logging.CRITICAL)
    assert not structlog.is_configured()
    with structlog.testing.capture_logs() as lines:
        structlog.get_logger().info("told")
    assert [line["event"] for line in lines] == ["told"]
