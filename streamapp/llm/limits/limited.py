"""The policy that lets a target be called as its limiter allows, and learns from its answers."""

import asyncio
from collections import deque
from collections.abc import Callable
from statistics import median

from streamapp.errors import BudgetExceeded, RateHints, RateLimited, TargetBusy, TargetOpen
from streamapp.llm.completion import Call, Completion
from streamapp.llm.limits.limiter import Limiter, no_look
from streamapp.llm.limits.own_refusals import OwnRefusals
from streamapp.llm.limits.rate_learner import UNLIMITED, PaceLearner
from streamapp.llm.limits.token_estimate import TokenEstimate
from streamapp.llm.provider import Completer

#: So many answers tell how many tokens a request has, and how long it takes.
_LAST = 64
#: How long a call waits for a target that refuses calls, while another target is left, seconds.
PATIENCE_S = 0.5
#: The part of the rate by settings from which on a learned one sends nobody elsewhere.
_ENOUGH = 0.5
#: So long a call waits for a learned rate that nothing was refused at lately, seconds.
_LITTLE_S = 5.0
#: Who was told to come has come after so many seconds.
_MOMENT_S = 0.05


def always(call: Call) -> None:
    """Let every call begin."""


class Limited:
    """Lets ``provider`` be called as its limiter allows; what it answers teaches the limiter.

    Waiting does not count against the record's deadline. A call that may not begin when its turn
    has come leaves that to the next one.

    Args:
        provider: One target.
        limiter: Of its model.
        outer: Of its provider.
        learner: Of its model.
        clock: Monotonic, seconds.
        on_wait: Hears how long each call that had to wait did so, seconds.
        silence_s: How long a call waits for a place among others of which none is answered,
            while another target is left, seconds.
        require: Raises `TargetOpen` where a call whose turn has come is not to be made.
    """

    def __init__(
        self,
        provider: Completer,
        *,
        limiter: Limiter,
        outer: Limiter,
        learner: PaceLearner,
        clock: Callable[[], float],
        on_wait: Callable[[float], None],
        silence_s: float = UNLIMITED,
        require: Callable[[Call], None] = always,
    ) -> None:
        self._provider = provider
        self._limiter = limiter
        self._outer = outer
        self._learner = learner
        self._clock = clock
        self._on_wait = on_wait
        self._silence_s = silence_s
        self._require = require
        self._heard_at = 0.0
        self._estimate = TokenEstimate()
        self._own = OwnRefusals()
        self._used: deque[int] = deque(maxlen=_LAST)
        self._took_s: deque[float] = deque(maxlen=_LAST)
        self._has_sent_away = False
        # How many were told to come since then, and how many there was room for.
        self._asked_at, self._promised, self._room = -UNLIMITED, 0, 0.0

    def takes_back(self, most: float = UNLIMITED) -> bool:
        """Whether one more of the calls that were turned away would begin soon.

        At one moment it is said to as many as there is room for: all that wait elsewhere may ask.

        Args:
            most: That may begin, whatever the limits allow.
        """
        if (now := self._clock()) - self._asked_at >= _MOMENT_S:
            self._asked_at, self._promised = now, 0
            self._room = self._limiter.room(PATIENCE_S)
        if self._promised + 1 > min(self._room, most):
            self._has_sent_away = True  # more would come than its rate allows
            return False
        self._promised += 1
        return True

    async def complete(self, call: Call) -> Completion:
        """Answer ``call`` in its turn.

        Raises:
            TargetBusy: The target refuses calls or answers none, and the call has another one
                left; or one before it takes the call back.
            TargetOpen: It was taken for down while the call waited for its turn.
            BudgetExceeded: A budget was spent while the call waited for its turn.
            ProviderError: As of the provider.
        """
        limiter, learner = self._limiter, self._learner

        def estimate() -> float:
            return self._estimate.of(call) if limiter.counts_tokens else 0.0

        tokens = estimate()
        if not limiter.try_acquire(tokens):
            tokens = await self._wait(call, estimate)
            call = call.but(has_waited=True)
        try:
            self._require(call)
            if call.budget_check is not None:
                call.budget_check.begin()
        except (BudgetExceeded, TargetOpen):
            limiter.give_back(tokens)
            raise
        epoch, excess = learner.admitted(), 0.0
        since = self._clock()
        try:
            completion = await self._provider.complete(call)
            self._heard_at = self._clock()
            self._took_s.append(self._heard_at - since)
            if call.budget_check is not None:
                call.budget_check.answered()
            self._own.answered(call.deadline)
            used = completion.usage.input_tokens + completion.usage.output_tokens
            if tokens and used:
                excess = tokens - used
                self._estimate.correct(call, used)
            learner.answered(is_waiting=limiter.is_waiting or self._has_sent_away)
            self._has_sent_away = False
            if used:
                self._used.append(used)
            if completion.hints is not None:
                self._hear(completion.hints)
            return completion
        except RateLimited as error:
            self._heard_at = self._clock()
            is_odd, error.is_own = self._own.refused(call.deadline)
            if is_odd:
                raise  # to pause everybody for one record would hold them for its sake
            if error.hints is not None:
                self._hear(error.hints)
            known_per_s = min(limiter.rate_per_s, self._outer.rate_per_s)
            learner.refused(epoch, known_per_s=known_per_s, retry_after_s=error.retry_after_s)
            raise
        finally:
            limiter.release(excess)
            if learner.rate_per_s != limiter.taken_over_per_s:
                limiter.adjust()

    async def _wait(self, call: Call, estimate: Callable[[], float]) -> float:
        """Return the tokens reserved, once it is the call's turn."""
        limiter, since = self._limiter, self._clock()
        if call.moves_on and not self._learner.is_to_try and self._refusal_s > PATIENCE_S:
            raise self._busy()

        def look(turn: asyncio.Future[float]) -> None:
            asyncio.get_running_loop().call_later(PATIENCE_S, look_again, turn)

        def look_again(turn: asyncio.Future[float]) -> None:
            if turn.done():
                return
            is_sent_on = call.moves_on and (self._refusal_s or self._is_silent(since))
            if is_sent_on or (call.is_taken_back and call.is_taken_back()):
                turn.set_exception(self._busy())
            else:
                look(turn)

        try:
            with call.deadline.suspended(f"it waited for its turn at a limit of {call.model}"):
                return await limiter.acquire(
                    estimate,
                    look=look if call.moves_on or call.is_taken_back else no_look,
                    is_waited_for=call.deadline.is_waited_for,
                )
        finally:
            self._on_wait(self._clock() - since)

    @property
    def _refusal_s(self) -> float:
        """How long a new call would wait because calls were refused, seconds; 0 for not at all.

        What settings make it wait for is none of it. They are believed where they alone would let
        it wait for half as long at least, but for a rate that was refused lately. Else a short wait
        is none, either: another target may cost more, and a rate grows by being used.
        """
        limiter, learner = self._limiter, self._learner
        tokens, seconds = (median(last) if last else 0.0 for last in (self._used, self._took_s))
        if (learned_per_s := learner.learned_per_s(seconds)) == UNLIMITED:
            return 0.0
        wait_s = limiter.waiting / learned_per_s
        if (pause_s := learner.paused_until - self._clock()) > 0:
            return max(pause_s, wait_s)
        if learner.is_refusing:
            return wait_s
        told_per_s = limiter.told_per_s(tokens=tokens, seconds=seconds)
        if learner.was_refused_lately:
            return 0.0 if learned_per_s >= told_per_s else wait_s
        is_little = wait_s <= _LITTLE_S or learned_per_s >= told_per_s * _ENOUGH
        return 0.0 if is_little else wait_s

    def _is_silent(self, since: float) -> bool:
        """Whether a call waits since then for others to end of which none was answered."""
        silent_s = self._clock() - max(since, self._heard_at)
        return self._limiter.is_full and silent_s >= self._silence_s

    def _busy(self) -> TargetBusy:
        self._has_sent_away = True
        return TargetBusy("it takes no more calls now, and another target is left", provider="")

    def _hear(self, hints: RateHints) -> None:
        """Slow down to what the provider says, for requests of as many tokens as most have."""
        if hints.requests_per_s is not None:
            self._learner.told(hints.requests_per_s)
        if hints.tokens_per_s is not None and self._used:
            self._learner.told(hints.tokens_per_s / median(self._used))
