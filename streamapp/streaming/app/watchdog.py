"""The watchdog: a thread that sees a stuck event loop or a lost broker, and ends what hangs.

It is a thread since the things it watches for stop the loop itself: a blocking processor, a
stop that waits for a broker that is gone.
"""

import os
import threading
from collections.abc import Callable

import structlog

from streamapp.running_clock import RunningClock
from streamapp.telemetry.line_writer import flush_logs
from streamapp.telemetry.outage import Outage

log = structlog.get_logger(__name__)

#: Exit code of a process that had to be ended: run-time failure.
EXIT_FAILED = 1

#: A loop that did not run for so long is not coming back, seconds.
LOOP_STUCK_S = 120.0

#: The most that counts between two looks, seconds: all brokers are asked in between.
MOST_UNSEEN_S = 30.0

#: Longest wait for the log's reader before the process is ended, seconds.
FLUSH_S = 1.0


class Watchdog(threading.Thread):
    """Watches the loop's pulse and the broker; ends the process past its limits.

    Args:
        probe: Whether a broker answers; may block a few seconds.
        clock: Kept by this thread's looks: a process that was frozen is given its time again.
        end: Ends the process at once with a code.
        on_stuck: Called in this thread before the process of a loop that is stuck is ended.
        outage: Tells of brokers that have gone.
        interval_s: Seconds between two looks.
    """

    def __init__(
        self,
        probe: Callable[[], bool],
        *,
        clock: RunningClock,
        end: Callable[[int], object] = os._exit,
        on_stuck: Callable[[], None] = lambda: None,
        outage: Outage | None = None,
        interval_s: float = 1.0,
    ) -> None:
        super().__init__(name="streamapp-watchdog", daemon=True)
        self._probe = probe
        self._clock = clock
        self._end = end
        self._on_stuck = on_stuck
        self._outage = outage
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._pulse_at = clock()
        self._broker_seen_at = clock()
        #: Whether a broker has answered since the start.
        self.has_seen_broker = False
        self._ends_at: float | None = None
        self._end_reason = ""

    def pulse(self) -> float:
        """Note that the loop runs; return the seconds since it last did."""
        now = self._clock()
        silence_s, self._pulse_at = now - self._pulse_at, now
        return silence_s

    @property
    def loop_lag_s(self) -> float:
        """Seconds since the loop last ran."""
        return self._clock() - self._pulse_at

    @property
    def broker_silence_s(self) -> float:
        """Seconds since a broker last answered, or since the start."""
        return self._clock() - self._broker_seen_at

    def note_broker(self) -> None:
        """Note that a broker has answered, whoever asked it."""
        self._broker_seen_at, self.has_seen_broker = self._clock(), True

    def end_in(self, limit_s: float, reason: str) -> None:
        """End the process non-zero unless it has ended by itself in time; the first call counts."""
        if self._ends_at is None:
            self._end_reason = reason
            self._ends_at = self._clock() + limit_s

    def stop(self) -> None:
        """End the thread soon; the process is left alone."""
        self._stopped.set()

    def run(self) -> None:
        """Look every ``interval_s`` until stopped."""
        while not self._stopped.wait(self._interval_s):
            self.look()

    def look(self) -> None:
        """Do one round of checks."""
        self._clock.beat()
        if self._ends_at is not None and self._clock() >= self._ends_at:
            self._end_process(self._end_reason)
        elif self.loop_lag_s > LOOP_STUCK_S:
            self._on_stuck()
            self._end_process("the event loop is stuck")
        if self._ends_at is None:
            self._look_for_broker()

    def _look_for_broker(self) -> None:
        answers, silence_s = self._probe(), self.broker_silence_s
        if answers:
            self.note_broker()
        if self._outage is not None and self.has_seen_broker:
            self._outage.look(answers=answers, silence_s=silence_s)

    def _end_process(self, reason: str) -> None:
        """End it, said or not: nobody may read the log any more."""
        log.critical("watchdog.ending_process", reason=reason)
        flush_logs(FLUSH_S)
        self._end(EXIT_FAILED)
