"""The rate learner: a provider's limit found from its answers, by slow start and back-off."""

from collections import deque
from collections.abc import Callable

UNLIMITED = float("inf")
FIRST_WINDOW = 64
LAST_WINDOW = 4096
_LONGEST_PAUSE_S = 60.0
_LOWEST_PER_S = 0.2
#: Below what was measured, so that the provider's own bucket fills again.
_STEP_DOWN = 0.9
#: One measurement can be too low: its provider may have had nothing to do for a while.
_LEAP_DOWN = 0.8
#: A rate measured over less time would be that of the provider's burst.
_SHORTEST_PERIOD_S = 0.2
#: Of what was measured, whatever is refused late: some of that was sent before the period.
_LEAST_PART = 1 / 16
_PERIOD_S = 0.5
_LONGEST_PERIOD_S = 5.0
#: What was accepted before such a silence says nothing about the rate.
_SILENCE_S = 1.0
_MARKS = 20
#: So many answers between two refusals say that the rate was nearly right.
_ENOUGH_ANSWERS = 10
_STEP_UP_S = 0.05
#: A rate above what the provider takes is refused more often than that.
_LATELY_S = 5.0
#: Growth per second, for a refusal-free period of a second; a pause costs as much as ten of it.
_CURIOSITY = 0.2
_PAUSE_COST = 10.0
#: What is configured is believed more than a few refusals.
_TOLD_GROWTH_PER_S = 0.1
_LEAST_GROWTH_PER_S, _MOST_GROWTH_PER_S = 0.02, 2.0
#: Growth per second and second: a rate that was raised is found, however far it is.
_IMPATIENCE = 0.003


class PaceLearner:
    """Finds the rate that a provider takes, from what it answers and refuses.

    Without a configured limit it begins with `FIRST_WINDOW` calls in flight and one more with
    each answer, until the first refusal. From then on it keeps a rate. Between two
    refusals the provider's bucket was empty at both ends, so what it accepted meanwhile is its
    rate, whatever its burst: that becomes the rate, less a step; it grows from there, the slower
    the longer the last refusal-free period was, and again faster the longer this one lasts.
    After a time of nothing but refusals it doubles with each answer, up to half of what it was;
    where nothing was known before, it begins anew with one call in flight, once.

    Args:
        clock: Monotonic, seconds.
        is_limited: Whether a limit is configured: no slow start.
        is_known: Whether that is one of requests, a rate to go on at when all was refused.

    Attributes:
        window: Calls in flight.
        rate_per_s: Requests.
        paused_until: Nothing is begun before, by the clock.
    """

    def __init__(
        self, clock: Callable[[], float], *, is_limited: bool, is_known: bool = False
    ) -> None:
        self._clock = clock
        self._is_known = is_known
        self.is_limited = is_limited
        self.window: float = UNLIMITED if is_limited else FIRST_WINDOW
        self.rate_per_s: float = UNLIMITED
        self.paused_until = 0.0
        #: Grows with each step down: calls of before it say nothing about the new rate.
        self.epoch = 0
        self._accepted = 0
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MARKS)
        self._admitted_at = clock()
        self._cut_at = self._grown_at = clock()
        self._refused_at = self._answered_at = -UNLIMITED
        self._growth_per_s = 0.0
        # Of the last step down: when it was, the period and the rate that led to it, and the least
        # it led to.
        self._stepped_at = clock()
        self._measured, self._least_per_s = (_SHORTEST_PERIOD_S, 0.0), 0.0
        # The last rate at which it was seen to answer, for the time after it refused everything.
        self._good_per_s = 0.0
        self._answers = 0
        self._has_leapt = False
        #: Whether the provider itself has taught anything.
        self.is_taught = False
        #: Whether it has refused all that was sent, and no rate is known from before: such calls,
        #: as the probes of a target that is out, tell none. The lowest rate then only spaces them.
        self.is_lost = False
        self._has_begun_anew = self._may_be_lost = False

    @property
    def was_refused_lately(self) -> bool:
        """Whether a call was refused in the last seconds, here."""
        return self._clock() - self._refused_at <= _LATELY_S

    @property
    def is_refusing(self) -> bool:
        """Whether a call was refused in the last seconds, and none was answered since."""
        return self.was_refused_lately and self._answered_at < self._refused_at

    @property
    def is_to_try(self) -> bool:
        """Whether the next call tells if anything is answered again, after nothing was."""
        return self.is_lost and not self.was_refused_lately

    def learned_per_s(self, seconds: float) -> float:
        """Return the rate that refusals have led to.

        Args:
            seconds: That a call takes; 0 where none is known.
        """
        if self._has_begun_anew and seconds:
            return min(self.rate_per_s, self.window / seconds)
        return self.rate_per_s

    def begin_at(self, rate_per_s: float, window: float, *, pause_s: float = 0.0) -> None:
        """Begin where another worker was, unless the provider has taught something already."""
        if self.is_taught:
            return
        if pause_s > 0:
            self.paused_until = self._clock() + min(pause_s, _LONGEST_PAUSE_S)
        if self.window != UNLIMITED:
            self.window = max(self.window, window)
        if rate_per_s != UNLIMITED:
            self.window = UNLIMITED
            self.rate_per_s = max(rate_per_s, _LOWEST_PER_S)
            self._growth_per_s = _LEAST_GROWTH_PER_S
            self._cut_at = self._grown_at = self._clock()

    def rescale(self, factor: float) -> None:
        """Take another part of what all workers may do."""
        if self.rate_per_s != UNLIMITED:
            self.rate_per_s = max(self.rate_per_s * factor, _LOWEST_PER_S)

    def admitted(self) -> int:
        """Count a call that begins; return the epoch for `refused`."""
        now = self._clock()
        if now - self._admitted_at > _SILENCE_S:
            self._marks.clear()
        if not self._marks or now - self._marks[-1][0] > _LONGEST_PERIOD_S:
            self._marks.append((now, self._accepted))
        self._admitted_at = now
        self._accepted += 1
        return self.epoch

    def answered(self, *, is_waiting: bool) -> None:
        """Learn from an answer.

        Args:
            is_waiting: Whether calls wait: else a higher rate would be untested.
        """
        now = self._answered_at = self._clock()
        self._answers += 1
        if self.is_lost:
            self.is_lost, self._has_begun_anew = False, True
            self.rate_per_s, self.window = UNLIMITED, 1
        if self.window != UNLIMITED:
            self.window = self.window + 1 if self.window < LAST_WINDOW else UNLIMITED
        if self.rate_per_s == UNLIMITED:
            return
        if self.rate_per_s < self._good_per_s / 2:
            self.rate_per_s = min(self.rate_per_s * 2, self._good_per_s / 2)
            self._has_leapt = True
        passed_s = now - self._grown_at
        if passed_s >= _STEP_UP_S:
            self._grown_at = now
            if is_waiting:
                growth_per_s = self._growth_per_s + _IMPATIENCE * (now - self._cut_at)
                self.rate_per_s *= 1 + growth_per_s * min(passed_s, 1.0)

    def told(self, rate_per_s: float) -> None:
        """Take the provider's word: nothing is left, and it refills at this rate."""
        self.is_taught, self.is_lost = True, False
        self.window = UNLIMITED
        self._slow_to(rate_per_s)
        self._growth_per_s = _LEAST_GROWTH_PER_S
        self._cut_at = self._grown_at = self._clock()

    def refused(
        self, epoch: int, *, known_per_s: float = UNLIMITED, retry_after_s: float | None = None
    ) -> None:
        """Slow down after a 429, once for all calls of one epoch.

        Args:
            epoch: Of the refused call.
            known_per_s: The rate that was allowed.
            retry_after_s: The provider's wish: until then nothing is begun.
        """
        now = self._refused_at = self._clock()
        self.is_taught = True
        if retry_after_s:
            wish_until = now + min(retry_after_s, _LONGEST_PAUSE_S)
            self.paused_until = max(self.paused_until, wish_until)
        if epoch != self.epoch:
            if epoch == self.epoch - 1:
                self._correct()
            return
        self._accepted -= 1
        if self._answers >= _ENOUGH_ANSWERS and self.rate_per_s != UNLIMITED:
            self._good_per_s = self.rate_per_s
        elif self._has_leapt:
            self._good_per_s = self.rate_per_s / 2
        if self._answers >= _ENOUGH_ANSWERS:
            self._has_begun_anew = False
        self._answers, self._has_leapt = 0, False
        period_s, measured_per_s = self._measure(now)
        self._may_be_lost = not (self._is_known or self._good_per_s > 0 or self._has_begun_anew)
        self.is_lost = self._may_be_lost and not measured_per_s
        leap = _STEP_DOWN if self.is_limited else _LEAP_DOWN
        least_per_s = 0.0 if known_per_s == UNLIMITED else known_per_s * leap
        self._slow_to(max(measured_per_s * _STEP_DOWN, least_per_s))
        self._measured = period_s, measured_per_s
        self._least_per_s = max(least_per_s, measured_per_s * _STEP_DOWN * _LEAST_PART)
        cost_s = period_s + _PAUSE_COST * max(self.paused_until - now, 0.0)
        least = _TOLD_GROWTH_PER_S if self.is_limited else _LEAST_GROWTH_PER_S
        growth_per_s = max(_CURIOSITY / cost_s, least)
        self._growth_per_s = min(growth_per_s, _MOST_GROWTH_PER_S)
        self.window = UNLIMITED
        self.epoch += 1
        self._cut_at = self._grown_at = self._stepped_at = now
        self._marks.append((max(now, self.paused_until), self._accepted))

    def _correct(self) -> None:
        """Take a call that was in flight at the step down out of what was accepted before it."""
        self._accepted -= 1
        for number, (at, count) in enumerate(self._marks):
            if at >= self._stepped_at:
                self._marks[number] = at, count - 1
        period_s, measured_per_s = self._measured
        measured_per_s -= 1 / period_s
        self._measured = period_s, measured_per_s
        self.is_lost |= (
            self._may_be_lost and measured_per_s * period_s < 0.5
        )  # nothing was accepted
        self._slow_to(max(measured_per_s * _STEP_DOWN, self._least_per_s))

    def _measure(self, now: float) -> tuple[float, float]:
        """Return the seconds of a period that ends now, and the accepted rate in it."""
        start, count = next(
            (mark for mark in reversed(self._marks) if now - mark[0] >= _PERIOD_S), self._marks[0]
        )
        period_s = max(now - start, _SHORTEST_PERIOD_S)
        return period_s, (self._accepted - count) / period_s

    def _slow_to(self, rate_per_s: float) -> None:
        self.rate_per_s = max(min(self.rate_per_s, rate_per_s), _LOWEST_PER_S)
