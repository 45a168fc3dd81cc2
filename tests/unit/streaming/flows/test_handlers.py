"""The handlers of all flows behind one window."""

import gc
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from faust.types import TP

from streamapp.streaming.flows.handlers import RecordHandlers
from streamapp.streaming.window.lease import Lease
from streamapp.telemetry.garbage import WEIGHT
from tests.unit.streaming.fake_broker import FakeEvent, FakeMessage


@dataclass
class FakeHandler:
    name: str

    def __call__(self, event: FakeEvent, lease: Lease) -> Coroutine[Any, Any, None]:
        async def handled() -> None:
            handled_by.append(self.name)

        handled_by: list[str] = event.message.headers
        return handled()


async def test_record_goes_to_its_flow_and_heavy_ones_are_collected() -> None:
    """Each topic has its handler; cycles that large records leave wait for no thousands of them."""
    handlers: Any = {"a": FakeHandler("of a"), "b": FakeHandler("of b")}
    handle = RecordHandlers(handlers)
    collections: list[int] = []
    seen: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop":
            collections.append(info["generation"])

    gc.disable()
    gc.callbacks.append(note)
    try:
        for topic, value in (("b", b"short"), ("a", bytes(WEIGHT)), ("b", None)):
            # The headers are where the fake handlers write.
            message = FakeMessage(TP(topic, 0), 0, None, 1, value=value, headers=seen)
            await handle(FakeEvent(message), Lease(1))
    finally:
        gc.callbacks.remove(note)
        gc.enable()

    assert seen == ["of b", "of a", "of b"]
    assert collections == [2]
