"""What is said of a corrected record of a flow before it is sent."""

import json
from typing import Any

import pytest

from streamapp.cli.decoding import decoder, flow_check
from streamapp.errors import Failure, TooLarge
from streamapp.flows.source_record import SourceRecord
from streamapp.settings import Settings

SETTINGS = Settings(
    _env_file=None,
    flows={
        "short": {
            "input": "reviews",
            "output": "shortened",
            "type": "summarize",
            "fields": {"text": "{{ value.body }} of {{ key }} by {{ headers.shop }}"},
        }
    },
)


def check(value: Any, *, flow: str = "short", topic: str = "reviews") -> object:
    """As of a dead letter with a key and a header."""
    stood = SourceRecord(topic, 1, 2, b"k", None, [("shop", b"s")], timestamp_s=1.0)
    decode = decoder(SETTINGS, topic, command="edit", mend="-")
    return flow_check(SETTINGS, flow, stood, decode)(json.dumps(value).encode())


def test_what_the_flow_would_refuse_is_told() -> None:
    """Its templates are what made the first one a dead letter."""
    with pytest.raises(Failure, match="body"):
        check({"stars": 2})

    request: Any = check({"body": "Good"})
    assert request.text == "Good of k by s"


@pytest.mark.parametrize("where", [{"flow": "gone"}, {"topic": "others"}], ids=str)
def test_flow_that_is_not_here_refuses_nothing(where: Any) -> None:
    """The worker that reads the topic knows it."""
    check({"stars": 2}, **where)


@pytest.mark.parametrize("topic", ["llm.requests", "reviews", "elsewhere"])
def test_what_no_record_can_carry_is_refused_on_every_topic(topic: str) -> None:
    """Before anything is sent: the broker would refuse it behind the records before it."""
    fits, large = (b'{"type":"embed","input":"%s"}' % (b"x" * n) for n in (999_900, 1_000_000))
    decode = decoder(SETTINGS, topic, command="send", mend="-")

    decode(fits)
    with pytest.raises(TooLarge, match="longer than 1,000,000 bytes"):
        decode(large)
