"""Circuit breakers: a target that is down gets no calls, but for a few that probe it."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import structlog

from streamapp.errors import (
    AnswerBroken,
    Failure,
    ProviderDenied,
    ProviderError,
    ProviderForbidden,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)
from streamapp.llm.routing.break_offs import BROKEN_OFF, BreakOffs
from streamapp.llm.routing.failed_rows import (
    BrokenRow,
    FailedRow,
    GarbledRow,
    OutageRow,
    RefusedRow,
    is_no_completion,
)

log = structlog.get_logger(__name__)

#: So long after its last failure a target that nobody has asked since is not known to be down,
#: seconds: held records would have asked it many times.
UNTRIED_S = 60.0
#: Where a target is down again so soon after it came back, seconds, one of the held calls may be
#: what crashes it: so many begin when it is back, and so many with each answer from then on, so
#: that it takes few others along. After so many seconds all begin.
_AGAIN_S, _RAMP_FROM, _RAMP, _RAMP_S, _RAMP_POLL_S = 600.0, 4, 2, 30.0, 0.05
_OUTAGE = (ProviderUnavailable, ProviderTimeout, ProviderDenied)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """When a breaker opens, and how it asks whether the target is back.

    Attributes:
        failures: In a row, until it opens; see `OutageRow`.
        refusals, refusing_s: So many refusals (429) and nothing else for so long open it too.
        garbled, garbled_s: So many records in a row, for so long, with an answer that is no
            completion open it too; `failures` of them where they broke off at as many moments.
        probes: Calls let through at once while it is half open.
        first_probe_s: From opening to the first probe; doubled by each probe that fails.
        probe_cap_s: Upper bound of that. A probe that has no answer for so long keeps no other
            from asking: a provider that swallows calls may be back before they time out. See
            `BreakOffs` for those that are to be alone.
        retry_after_cap_s: Longest wish of a provider that refuses which is granted all the same.
    """

    failures: int = 5
    refusals: int = 20
    refusing_s: float = 10.0
    garbled: int = 20
    garbled_s: float = 5.0
    probes: int = 2
    first_probe_s: float = 0.5
    probe_cap_s: float = 4.0
    retry_after_cap_s: float = 60.0


class Breaker:
    """The state of one target: closed, open, or half open with probes on their way.

    Args:
        name: ``provider/model``, for the log.
        limits: When it opens.
        clock: Monotonic, seconds.
        rng: Source of jitter: workers that share a target are not to probe it in step.
    """

    def __init__(
        self,
        name: str,
        *,
        limits: BreakerLimits,
        clock: Callable[[], float],
        rng: Random | None = None,
    ) -> None:
        self.name = name
        self.is_open = False
        #: What the target refuses every call with, as a wrong key; empty where it may come back.
        self.denial = ""
        #: How many calls were answered, ever, and how many are on their way.
        self.answers = self.in_flight = 0
        #: In how many openings it had failed those records that it answered last.
        self.answered_after: deque[int] = deque(maxlen=1000)
        #: How often it opened, ever.
        self.openings = 0
        self.break_offs = BreakOffs(limits.probe_cap_s)
        self._limits = limits
        self._clock = clock
        self._outage = OutageRow(limits.failures)
        self._refused = RefusedRow(limits.refusals, limits.refusing_s)
        self._forbidden = FailedRow()
        self._garbled = GarbledRow(limits.garbled, limits.garbled_s)
        self._broken = BrokenRow(limits.failures, limits.garbled_s)
        self._opened_at = self._failed_at = 0.0
        self._is_opened_by_failures = self._is_again = False
        self._probe_at = 0.0
        self._probe_every_s = limits.first_probe_s
        self._probes: list[float] = []
        self._closed_at, self._room = -math.inf, math.inf
        self._rng = rng or Random()  # noqa: S311 - jitter needs no secrecy

    @property
    def is_failing(self) -> bool:
        """Whether the last thing that was heard of it is a failure."""
        return self._outage.count > 0

    @property
    def state(self) -> int:
        """0 closed, 1 half open: calls ask whether the target is back, 2 open."""
        if not self.is_open:
            return 0
        return 1 if self._probes or self.wait_s() == 0 else 2

    @property
    def untried_s(self) -> float:
        """Seconds since its last failure, where no call has asked it for long; else 0."""
        if not self.is_open or self._probes:
            return 0.0
        untried_s = self._clock() - self._failed_at
        return untried_s if untried_s >= UNTRIED_S else 0.0

    def wait_s(self) -> float:
        """Return after how many seconds a call may be let through, as far as is known; 0 for now.

        Where all probes are on their way it is the time until one of them counts no more.
        """
        if not self.is_open:
            return 0.0
        now = self._clock()
        wait_s = self._probe_at - now
        alone_s = self.break_offs.alone_s
        cap_s = alone_s or self._limits.probe_cap_s
        fresh = [at for at in self._probes if at + cap_s > now]
        if len(fresh) >= (1 if alone_s else self._limits.probes):
            wait_s = max(wait_s, fresh[0] + cap_s - now)
        return max(wait_s, 0.0)

    def held_s(self) -> float:
        """Return after how many seconds a held call may begin, or look again; 0 for now."""
        if self.is_open or self._room > 0 or self._clock() - self._closed_at >= _RAMP_S:
            return self.wait_s()
        return _RAMP_POLL_S

    def begin_held(self) -> None:
        """Say that a call begins that was held."""
        self._room -= 1

    @property
    def probes(self) -> Sequence[float]:
        """The probes on their way, as of `begin_probe`."""
        return tuple(self._probes)

    def is_probed_by(self, probes: Sequence[float]) -> bool:
        """Whether one of ``probes`` is still on its way."""
        return any(probe in self._probes for probe in probes)

    def begin_probe(self) -> float | None:
        """Let a call through although the breaker is open; None where it must not go."""
        if self.wait_s() > 0:
            return None
        self._probes.append(now := self._clock())
        return now

    def end_probe(self, probe: float) -> None:
        """Say that a probe is over, whatever came of it."""
        if probe in self._probes:
            self._probes.remove(probe)

    @property
    def is_open_by_failures(self) -> bool:
        """Whether it is open, and for failures."""
        return self.is_open and self._is_opened_by_failures

    def was_opened_by(self, attempts: int) -> bool:
        """Whether it is open for failures, and one call's ``attempts`` alone are as many."""
        return self.is_open_by_failures and attempts >= self._limits.failures

    def succeeded(self) -> None:
        """Take note of an answer, of whatever kind: the target works."""
        self._refused.clear()
        self._outage.answered(self._clock())
        self._garbled.clear()
        self._broken.clear()
        self._room += _RAMP
        self.denial = ""
        if self.is_open:
            self.is_open = False
            self._room = _RAMP_FROM if self._is_again else math.inf
            self._closed_at = self._clock()
            self._probe_at = 0.0
            self._probe_every_s = self._limits.first_probe_s
            self._probes.clear()
            open_s = round(self._clock() - self._opened_at, 2)
            log.warning("llm.breaker_closed", target=self.name, open_s=open_s)

    def failed(self, error: Failure, *, of: object = None, probe: float | None = None) -> None:
        """Take note of a failure.

        Args:
            error: What the call ended with.
            of: The record whose call it was.
            probe: As of `begin_probe`, where it was let through although the breaker was open.
        """
        if isinstance(error, ProviderError) and error.is_ours:
            return
        if probe is not None and self.is_open:
            if not (isinstance(error, (*_OUTAGE, RateLimited)) or is_no_completion(error)):
                self.succeeded()
                return
            error.ends_probe = True
            if isinstance(error, BROKEN_OFF) and error.status is None:
                self.break_offs.note_probe(of, since=probe, at=self._clock())
            self.denial = _denial(error)
            self._probe_every_s = min(self._probe_every_s * 2, self._limits.probe_cap_s)
            self._wait(error)
        elif self.is_open:
            self._heed(error)
        elif isinstance(error, ProviderForbidden) and self._may_be_the_records(error, of):
            return
        elif isinstance(error, ProviderDenied):
            self._open(error)
        elif isinstance(error, _OUTAGE):
            if self._outage.is_of_target(error, at=self._clock(), in_flight=self.in_flight):
                self._open(error)
        elif isinstance(error, RateLimited):
            if self._refused.is_of_target(at=self._clock()):
                self._open(error)
        elif is_no_completion(error):
            # A record may make a model say nothing of use; so many in a row do not.
            row = self._broken if isinstance(error, AnswerBroken) else self._garbled
            if row.is_of_target(of, answers=self.answers, at=self._clock()):
                self._open(error)
        else:
            self.succeeded()

    def broke_off(self, of: object) -> float:
        """Take note that a call of the record ``of`` broke off; return when that was."""
        now = self._clock()
        self.break_offs.note(of, at=now)
        return now

    def _may_be_the_records(self, error: ProviderForbidden, of: object) -> bool:
        """Whether what is refused may be one record: the target has answered others.

        Several in a row without an answer in between are of the account. Words that a record may
        have said itself are so only where several records are refused with them.
        """
        record = of if error.is_quote else object()
        count = self._forbidden.add(record, answers=self.answers)
        return (error.is_quote or self.answers > 0) and count < self._limits.failures

    def _open(self, error: Failure) -> None:
        self.is_open = True
        self.openings += 1
        self.denial = _denial(error)
        self._is_opened_by_failures = not isinstance(error, (ProviderDenied, RateLimited))
        self._opened_at = self._clock()
        self._is_again = self._opened_at - self._closed_at < _AGAIN_S
        if not self._is_again:
            self.break_offs.forget()
        self._wait(error)
        log.warning(
            "llm.breaker_opened",
            target=self.name,
            reason=type(error).__name__,
            status=getattr(error, "status", None),
            error=str(error),
        )

    def _wait(self, error: Failure) -> None:
        """Let no probe through too soon after what was just failed with."""
        self._failed_at = self._clock()
        every_s = self._probe_every_s
        if self.break_offs.alone_s:  # not in step: one would always come while it starts
            every_s *= self._rng.uniform(0.25, 1)
        self._probe_at = max(self._probe_at, self._failed_at + every_s)
        self._heed(error)

    def _heed(self, error: Failure) -> None:
        """Let no probe through before the longest wish of those that were refused is over."""
        if isinstance(error, RateLimited) and error.retry_after_s:
            wish_s = min(error.retry_after_s, self._limits.retry_after_cap_s)
            self._probe_at = max(self._probe_at, self._clock() + wish_s)


def _denial(error: Failure) -> str:
    return str(error) if isinstance(error, ProviderDenied) else ""
