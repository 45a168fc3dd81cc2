"""The handlers of all flows of a worker, behind its one window."""

from collections.abc import Coroutine, Mapping
from typing import Any

from streamapp.streaming.record_handler import RecordHandler
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.taken_record import Event
from streamapp.telemetry.garbage import WeighedCollector


class RecordHandlers:
    """The handlers of all flows; each record goes to that of its topic.

    Args:
        handlers: By input.
    """

    def __init__(self, handlers: Mapping[str, RecordHandler]) -> None:
        self._handlers = handlers
        self._collector = WeighedCollector()

    def __call__(self, event: Event, lease: Lease) -> Coroutine[Any, Any, None]:
        """Bring the record to its outcome; raises as the handler."""
        message = event.message
        self._collector.passed(len(message.value or b""))
        return self._handlers[message.tp.topic](event, lease)
