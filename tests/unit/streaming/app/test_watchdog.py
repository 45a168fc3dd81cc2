import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from streamapp.running_clock import RunningClock
from streamapp.streaming.app.watchdog import LOOP_STUCK_S, MOST_UNSEEN_S, Watchdog
from streamapp.streaming.broker.ping import broker_answers
from streamapp.telemetry.outage import Outage
from tests.fakes import FakeClock


class Fixture:
    def __init__(self, *, answers: bool = True) -> None:
        self.clock = FakeClock()
        self.ended: list[int] = []
        self.answers = answers
        running = RunningClock(self.clock, most_s=MOST_UNSEEN_S)
        self.watchdog = Watchdog(lambda: self.answers, clock=running, end=self.ended.append)


def test_stop_in_time_ends_nothing() -> None:
    """Before its limit a stopping process is left alone."""
    fixture = Fixture()
    fixture.watchdog.end_in(10, "drain")

    fixture.clock.advance(9)
    fixture.watchdog.pulse()
    fixture.watchdog.look()

    assert fixture.ended == []


def test_stop_past_its_limit_ends_the_process() -> None:
    """A stop that hangs, say on a broker that is gone, ends non-zero."""
    fixture = Fixture()
    fixture.watchdog.end_in(10, "drain")
    fixture.watchdog.end_in(1_000, "a second signal does not put it off")

    fixture.clock.advance(10)
    fixture.watchdog.pulse()
    fixture.watchdog.look()

    assert fixture.ended == [1]


def test_stuck_loop_ends_the_process() -> None:
    """A loop that does not come back is ended, since it cannot end itself."""
    fixture = Fixture()

    fixture.clock.advance(LOOP_STUCK_S + 1)
    fixture.watchdog.look()

    assert fixture.ended == [1]


def test_loop_that_is_stuck_under_its_looks_ends_the_process() -> None:
    """As long as this thread runs, all time counts."""
    fixture = Fixture()

    for _ in range(round(LOOP_STUCK_S) + 1):
        fixture.clock.advance(1)
        fixture.watchdog.look()

    assert fixture.ended == [1]


def test_frozen_process_is_given_its_time_again() -> None:
    """On waking this thread may look before the loop has had its turn, or its drain an end."""
    fixture = Fixture()
    fixture.watchdog.end_in(MOST_UNSEEN_S + 5, "drain")
    fixture.watchdog.look()

    fixture.clock.advance(10 * LOOP_STUCK_S)
    fixture.watchdog.look()

    assert fixture.ended == []
    assert fixture.watchdog.loop_lag_s <= MOST_UNSEEN_S


def test_what_stuck_is_remembered_before_the_end() -> None:
    """Only a loop that is stuck has a record to blame, not a stop that takes too long."""
    steps: list[object] = []
    clock = FakeClock()
    watchdog = Watchdog(
        lambda: True,
        clock=RunningClock(clock),
        end=steps.append,
        on_stuck=lambda: steps.append("kept"),
    )

    clock.advance(LOOP_STUCK_S + 1)
    watchdog.look()
    assert steps == ["kept", 1]

    watchdog.end_in(0, "a stop")
    watchdog.look()
    assert steps == ["kept", 1, 1]


def test_pulse_tells_how_long_the_loop_slept() -> None:
    """The silence between two pulses shows a stopped process."""
    fixture = Fixture()
    fixture.watchdog.pulse()

    fixture.clock.advance(30)

    assert fixture.watchdog.loop_lag_s == 30
    assert fixture.watchdog.pulse() == 30
    assert fixture.watchdog.loop_lag_s == 0


def test_broker_silence_grows_until_it_answers() -> None:
    """The time since the last answer is what readiness looks at."""
    fixture = Fixture(answers=False)
    fixture.clock.advance(20)
    fixture.watchdog.pulse()
    fixture.watchdog.look()
    assert fixture.watchdog.broker_silence_s == 20
    assert not fixture.watchdog.has_seen_broker

    fixture.answers = True
    fixture.watchdog.look()
    assert fixture.watchdog.broker_silence_s == 0
    assert fixture.watchdog.has_seen_broker


class Looks(Outage):
    """What an outage is told."""

    def __init__(self) -> None:
        super().__init__([])
        self.seen: list[tuple[bool, float]] = []

    def look(self, *, answers: bool, silence_s: float) -> None:
        self.seen.append((answers, silence_s))


def test_outage_is_told_what_each_look_finds() -> None:
    """Its length is that before the answer; a start without a broker has lines of its own."""
    looks, clock, answers = Looks(), FakeClock(), [False, True, False, True]
    watchdog = Watchdog(
        lambda: answers.pop(0), clock=RunningClock(clock), end=lambda code: None, outage=looks
    )
    for _ in range(4):
        clock.advance(0.5)
        watchdog.look()

    assert looks.seen == [(True, 1.0), (False, 0.5), (True, 1.0)]


def test_broker_that_goes_before_the_first_look_was_there() -> None:
    """The app has waited for it: that it is away is told."""
    looks, clock = Looks(), FakeClock()
    watchdog = Watchdog(
        lambda: False, clock=RunningClock(clock), end=lambda code: None, outage=looks
    )
    clock.advance(5)
    watchdog.note_broker()
    clock.advance(0.5)

    watchdog.look()

    assert looks.seen == [(False, 0.5)]


@contextmanager
def listener(answer: bytes | None) -> Iterator[str]:
    """A socket that answers one request so, or accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        closing = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                if answer is not None:
                    connection.recv(64)
                    connection.sendall(answer)
                closing.wait(5)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        closing.set()
        thread.join()


def test_broker_that_answers_is_seen() -> None:
    """An answer to the protocol's first request is contact."""
    with listener(struct.pack(">ii", 4, 1)) as broker:
        assert broker_answers([broker], ssl_context=None, timeout_s=2)


def test_broker_that_only_accepts_is_not_seen() -> None:
    """A stopped broker's kernel still accepts connections; that is no contact."""
    with listener(None) as broker:
        assert not broker_answers([broker], ssl_context=None, timeout_s=0.05)


def test_closed_port_is_not_seen() -> None:
    """Nobody listening is no contact."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert not broker_answers([f"127.0.0.1:{port}"], ssl_context=None, timeout_s=0.5)
