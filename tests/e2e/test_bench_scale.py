"""`python -m bench --scale`, small: that it measures several workers, not how fast they are."""

import sys
from pathlib import Path

import orjson
import pytest

from tests.support.kafka import KafkaBroker
from tests.support.process import ChildProcess
from tests.support.worker import ROOT

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300), pytest.mark.long]

IN_FLIGHT = 16
#: Of each worker: calls of some seconds, so that all are in the middle of theirs at once.
RECORDS = 160


async def test_each_worker_adds_its_calls_and_nothing_is_lost_or_doubled(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Two workers of a group have more calls in progress than one may; each record counts once."""
    # Of three rounds, as usual, a busy machine has started nine workers too late.
    words = ["--scale", "1,2", "--rounds", "1"]
    words += ["--in-flight", str(IN_FLIGHT), "--records", str(RECORDS)]
    bench = ChildProcess(
        [sys.executable, "-m", "bench", *words, "--json", "--broker", kafka.bootstrap],
        log=tmp_path / "bench.log",
        cwd=ROOT,
    )
    bench.start()
    try:
        exit_code = await bench.wait(150)
    finally:
        bench.sigterm()
    assert exit_code == 0, bench.tail()

    log = bench.log.read_text()
    one, two = orjson.loads(log[log.index("\n[") :])
    assert (one["workers"], two["workers"]) == (1, 2)
    assert (one["records"], two["records"]) == (RECORDS, 2 * RECORDS)
    assert one["of_linear"] == 1
    assert one["at_once"] <= IN_FLIGHT < two["at_once"] <= 2 * IN_FLIGHT
    for run in (one, two):
        assert run["calls"] == run["records"]
        assert (run["missing"], run["duplicates"], run["dead_letters"]) == (0, 0, 0)
        assert run["exit_code"] == 0
