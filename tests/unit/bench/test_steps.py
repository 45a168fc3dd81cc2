"""The steps of a record in a profile."""

import inspect
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.hotspots import Hotspots
from bench.profiled import Sampler
from bench.steps import BESIDE, STEPS, step_of
from streamapp.llm.providers.http import Http
from streamapp.llm.routing.retry import Retrying
from streamapp.records.response import Response
from streamapp.streaming.delivery.emitter import Emitter
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import digest
from streamapp.streaming.delivery.outcomes import OutcomeRecorder
from streamapp.streaming.record_handler import RecordHandler
from streamapp.streaming.tables.answers import AnswersTable
from streamapp.streaming.window.window import Window

ROOT = Path(__file__).resolve().parents[3]


def frame(function: Callable[..., Any]) -> tuple[str, int, str]:
    code = inspect.unwrap(function).__code__
    return code.co_filename, code.co_firstlineno, code.co_qualname


@pytest.mark.parametrize(
    ("function", "step"),
    [
        (Window.take, "take"),
        (RecordHandler.__call__, "run"),
        (RecordHandler._read, "decode"),
        (Ledger.lookup, "look up"),
        (digest, "look up"),
        (Retrying.complete, "policies"),
        (Http.post, "HTTP"),
        (Response.encode, "encode"),
        (AnswersTable.append, "ledger"),
        (Emitter.emit, "two sends"),
        (OutcomeRecorder.answered, "measure"),
        (Window._finished, "commit"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__qualname__,
)
def test_function_begins_the_step_of_its_work(function: Callable[..., Any], step: str) -> None:
    """A function that is renamed or moved would leave its step without time."""
    assert step_of([frame(function), frame(RecordHandler.__call__)]) == step


def test_innermost_function_decides() -> None:
    """What a step calls that is none by itself counts to it."""
    inner = ("/usr/lib/python3.11/json/encoder.py", 1, "encode")

    assert step_of([inner, frame(Http.post), frame(Retrying.complete)]) == "HTTP"
    assert step_of([inner]) == BESIDE


def test_every_mark_names_a_file_or_folder_that_is_there() -> None:
    """A mark of a file that was moved would find nothing, in silence."""
    roots = [ROOT, ROOT / "streamapp", *(Path(p) for p in sys.path if p.endswith("-packages"))]
    places = {mark.partition(":")[0] for marks in STEPS.values() for mark in marks}

    missing = {place for place in places if not any((root / place).exists() for root in roots)}

    assert missing == set()


def test_sampled_time_is_the_threads_own_and_lies_in_its_function(tmp_path: Path) -> None:
    """What is spent is found in the function that spends it; what is waited for is not."""

    def spend(seconds: float) -> None:
        ends_s = time.thread_time() + seconds
        while time.thread_time() < ends_s:
            pass

    sampler, out = Sampler(), tmp_path / "profile.json"
    sampler.start()
    spend(0.3)
    time.sleep(0.1)
    sampler.stop(out)

    hotspots = Hotspots.read(out, records=10)

    assert hotspots.total_ms == pytest.approx(30, rel=0.3)
    found = {spot.name.rpartition(".")[2]: spot for spot in hotspots.functions}
    assert found["spend"].total_ms > hotspots.total_ms / 2
    assert dict(hotspots.steps)[BESIDE] == pytest.approx(sum(ms for _, ms in hotspots.steps))
