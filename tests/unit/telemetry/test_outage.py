"""What the log says of brokers that do not answer."""

import io
import json
import logging

import pytest
from structlog.testing import capture_logs

from streamapp.telemetry.logging import configure_logging
from streamapp.telemetry.outage import BROKER_SILENCE_S, CLIENT, REMIND_S, Outage
from tests.support.logs import restored_logging

__all__ = ["restored_logging"]

pytestmark = pytest.mark.usefixtures("restored_logging")


def test_outage_is_told_when_it_begins_and_when_it_is_over() -> None:
    """However often a broker is asked meanwhile; a reminder comes rarely."""
    outage = Outage(["a:9092", "b:9092"])

    with capture_logs() as lines:
        for silence_s in range(round(2.5 * REMIND_S)):
            outage.look(answers=False, silence_s=silence_s)
        outage.look(answers=True, silence_s=2.5 * REMIND_S)
        outage.look(answers=True, silence_s=1)

    begin_s = round(BROKER_SILENCE_S)
    told = [(line["event"], line.get("silent_s", line.get("away_s"))) for line in lines]
    assert told == [
        ("broker.away", begin_s),
        ("broker.away", begin_s + REMIND_S),
        ("broker.away", begin_s + 2 * REMIND_S),
        ("broker.back", 2.5 * REMIND_S),
    ]
    assert {line["brokers"] for line in lines} == {"a:9092,b:9092"}


def test_short_silence_is_no_outage() -> None:
    """A broker that starts again has a moment for it."""
    outage = Outage(["a:9092"])

    with capture_logs() as lines:
        outage.look(answers=False, silence_s=BROKER_SILENCE_S - 0.1)
        outage.look(answers=True, silence_s=BROKER_SILENCE_S + 1)

    assert lines == []


def test_clients_lines_are_held_back_meanwhile() -> None:
    """Each of its tries fails for the one reason; before and after, its lines pass."""
    stream = io.StringIO()
    configure_logging("info", "json", stream=stream)
    outage, client = Outage(["a:9092"]), logging.getLogger(f"{CLIENT}.consumer")

    client.error("before")
    outage.look(answers=False, silence_s=BROKER_SILENCE_S)
    client.error("Unable to connect")
    outage.look(answers=True, silence_s=60)
    client.error("after")

    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert events == ["before", "broker.away", "broker.back", "after"]
