"""The schema of bytes."""

from typing import Any

import faust
import pytest
from faust.types import TP, ConsumerMessage

from streamapp.streaming.consumer.raw_schema import RawSchema


def message(key: bytes | None, value: bytes | None) -> Any:
    return ConsumerMessage(
        topic="t",
        partition=0,
        offset=7,
        timestamp=0.0,
        timestamp_type=0,
        headers=[("a", b"1")],
        key=key,
        value=value,
        checksum=None,
        tp=TP("t", 0),
    )


@pytest.mark.parametrize("key", [None, b"", b"\xff"])
@pytest.mark.parametrize("value", [None, b"", b'{"type"'])
async def test_event_is_as_faust_would_make_it(key: bytes | None, value: bytes | None) -> None:
    """Key, value and headers come as they are, also where there are none."""
    app = faust.App("test-raw-schema", store="memory://")
    kept = message(key, value)
    faust_topic = app.topic(
        "t",
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        allow_empty=True,
    )

    own = await app.topic("t", schema=RawSchema()).decode(kept)
    by_faust = await faust_topic.decode(kept)

    assert type(own) is type(by_faust)
    assert (own.key, own.value, own.headers) == (by_faust.key, by_faust.value, by_faust.headers)
    assert own.message is kept
