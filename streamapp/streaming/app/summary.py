"""The counts of the last seconds, in the log at INFO."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from streamapp.streaming.app.lifecycle import StreamApp

log = structlog.get_logger(__name__)

SUMMARY_S = 10.0


async def log_summaries(app: StreamApp, take: Callable[[], dict[str, Any]]) -> None:
    """Log what happened every ``SUMMARY_S``, where something did, until the app stops.

    Args:
        app: Its window says what runs.
        take: Counts since the last call; empty where nothing happened.
    """
    while not app.should_stop:
        await asyncio.sleep(SUMMARY_S)
        counts = take()
        if counts or app.window.in_flight:
            log.info(
                "records.summary",
                in_flight=app.window.in_flight,
                pending=app.window.pending,
                **counts,
            )
