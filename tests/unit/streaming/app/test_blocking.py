"""Records that block the loop are named, and not run for ever."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import structlog
from faust.types import TP

from streamapp.standstills import Standstills
from streamapp.streaming.app.blocking import BlockingWatch
from streamapp.streaming.app.kept_fences import KeptFences
from streamapp.streaming.window.lease import Lease
from tests.unit.streaming.fake_broker import FakeEvent, FakeMessage

T0 = TP("llm.requests", 0)


class Fixture:
    """A watch whose clock a record moves while it runs."""

    def __init__(self) -> None:
        self.now = 0.0
        self.standstills = Standstills(lambda: self.now, switches=lambda native_id: 1)
        self.watch = BlockingWatch(6, clock=lambda: self.now, standstills=self.standstills)

    async def run(self, *steps_s: float, offset: int = 0, is_seen: bool = False) -> None:
        """Run a record whose steps take so long, with a turn of the loop between them."""

        async def run(event: Any, lease: Lease) -> None:
            for index, step_s in enumerate(steps_s):
                if index:
                    await asyncio.sleep(0)
                self.now += step_s
                if is_seen:
                    self.watch.look()

        await self.watch.watched(run)(event(offset), Lease(1))


def event(offset: int = 0) -> Any:
    return FakeEvent(FakeMessage(T0, offset, b"k", 1, value=b'{"type":"sluggish"}'))


@pytest.fixture
def fixture() -> Fixture:
    """Nothing has run."""
    return Fixture()


async def test_long_step_is_named(fixture: Fixture) -> None:
    """Type and place stand in the log and in what the probes tell."""
    with structlog.testing.capture_logs() as lines:
        await fixture.run(2.5, offset=7)

    (line,) = lines
    assert (line["event"], line["type"], line["offset"]) == ("loop.blocked", "sluggish", 7)
    assert line["took_s"] == 2.5
    fixture.now += 30
    assert fixture.watch.last().startswith("blocked for 2.5 s by a record of type sluggish")
    assert fixture.watch.last().endswith("30 s ago")


async def test_many_short_steps_block_nothing(fixture: Fixture) -> None:
    """A record that takes long and lets the others run is well."""
    with structlog.testing.capture_logs() as lines:
        await fixture.run(*[0.9] * 20)

    assert (lines, fixture.watch.last()) == ([], "")


async def test_record_that_blocked_past_the_session_twice_is_refused(fixture: Fixture) -> None:
    """The first time may be the machine's fault; the third would be one too many."""
    with structlog.testing.capture_logs():
        await fixture.run(7)
        assert fixture.watch.refusal(event().message) is None
        await fixture.run(7)

    refusal = fixture.watch.refusal(event().message)
    assert refusal is not None
    assert "blocked the event loop" in str(refusal)
    assert fixture.watch.refusal(event(1).message) is None


async def test_freeze_of_the_process_is_no_records_block(fixture: Fixture) -> None:
    """A step that its process stood still in is neither named nor counted for that time."""
    with structlog.testing.capture_logs() as lines:
        for step_s in (0.5, 1.4, 0.5):
            fixture.standstills.sleeps(0.5)
            await fixture.run(60 + step_s)

    assert lines == []
    assert fixture.watch.refusal(event().message) is None


async def test_short_blocks_are_never_refused(fixture: Fixture) -> None:
    """Within the session the record ends by itself, and nothing is repeated."""
    with structlog.testing.capture_logs():
        for _ in range(5):
            await fixture.run(5)

    assert fixture.watch.refusal(event().message) is None


async def test_place_is_that_of_the_blocking_call() -> None:
    """A thread looks at the loop's own frames while it is blocked."""
    watch = BlockingWatch(6, notice_s=0.2)
    watch.start()

    async def run(event: Any, lease: Lease) -> None:
        time.sleep(0.5)  # noqa: ASYNC251  # what it is about

    with structlog.testing.capture_logs() as lines:
        await watch.watched(run)(event(), Lease(1))
    watch.stop()

    assert lines[0]["where"].startswith("test_blocking.py:")
    assert lines[0]["where"].endswith(" in run")


async def test_late_look_names_no_place(fixture: Fixture) -> None:
    """After code that let no thread run, the step has gone on to where nothing blocked."""

    async def run(event: Any, lease: Lease) -> None:
        fixture.now += 9
        fixture.watch.look(late_s=8.5)

    with structlog.testing.capture_logs() as lines:
        await fixture.watch.watched(run)(event(), Lease(1))

    assert lines[0]["where"] == "in C code that kept the interpreter's lock"


async def test_errors_and_cancellations_pass_through() -> None:
    """The timing changes nothing of how a record ends."""
    watch = BlockingWatch(6)
    seen: list[str] = []

    async def fails(event: Any, lease: Lease) -> None:
        await asyncio.sleep(0)
        raise ValueError("its own")

    async def waits(event: Any, lease: Lease) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with pytest.raises(ValueError, match="its own"):
        await watch.watched(fails)(event(), Lease(1))
    task = asyncio.ensure_future(watch.watched(waits)(event(), Lease(1)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


async def test_place_that_the_lock_hid_is_the_one_seen_before(fixture: Fixture) -> None:
    """The thread that looks may get the interpreter's lock after the step, and too late."""
    with structlog.testing.capture_logs() as lines:
        await fixture.run(7)
        await fixture.run(7, is_seen=True)
        await fixture.run(7)

    hidden, seen, after = [line["where"] for line in lines]
    assert hidden == "in C code that kept the interpreter's lock"
    assert ".py:" in seen
    assert after == seen


async def test_record_that_ends_its_process_is_not_begun_for_ever(tmp_path: Path) -> None:
    """Two processes ended for it; the third one knows, and so does no other record's place."""
    path = tmp_path / "blocking.json"
    for _ in range(2):
        watch = BlockingWatch(6, kept=KeptFences(path))
        assert watch.refusal(event(7).message) is None
        watch.begin(event(7).message)  # and it never ends
        watch.keep()

    watch = BlockingWatch(6, kept=KeptFences(path))
    assert watch.refusal(event(7).message) is not None
    assert watch.refusal(event(8).message) is None
    other = event(7).message
    other.value = b"the topic was made anew"
    assert watch.refusal(other) is None


def test_file_that_is_none_ends_nothing(tmp_path: Path) -> None:
    """What cannot be read or written costs another try."""
    path = tmp_path / "blocking.json"
    for text in ("[", "[1]", '{"a": null}'):
        path.write_text(text)
        assert KeptFences(path).count(event().message) == 0
    lost = KeptFences(tmp_path / "no" / "folder" / "blocking.json")
    lost.add(event().message)

    assert lost.count(event().message) == 1
