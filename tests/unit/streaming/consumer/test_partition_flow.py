"""What is told of a partition that is held."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP
from structlog.testing import capture_logs

from streamapp.streaming.consumer.partition_flow import PartitionFlow
from tests.fakes import FakeClock


@pytest.mark.parametrize(
    ("topic", "is_long", "told"),
    [
        ("llm.requests", True, ("warning", "r-1")),
        ("llm.requests", False, ("info", None)),
        ("shop.orders", True, ("warning", None)),
    ],
)
def test_log_names_the_request_that_holds_for_long(
    topic: str, is_long: bool, told: tuple[str, str | None]
) -> None:
    """An ``id`` in the value of a flow's input is the user's own, and may be of a person."""
    tp, paused = TP(topic, 3), list[set[TP]]()
    message = SimpleNamespace(value=b'{"id": "r-1"}')
    record = SimpleNamespace(event=SimpleNamespace(message=message))
    partition = SimpleNamespace(
        next_unfinished=7, held_behind=lambda now: record if is_long else None
    )
    window = cast(Any, SimpleNamespace(partitions={tp: partition}))
    consumer = cast(Any, SimpleNamespace(pause_partitions=paused.append))
    flow = PartitionFlow(
        window, lambda: consumer, cast(Any, None), FakeClock(), requests="llm.requests"
    )

    with capture_logs() as logs:
        flow.hold(tp)

    assert [(line["log_level"], line.get("id"), line["behind"]) for line in logs] == [(*told, 7)]
    assert paused == [{tp}]
