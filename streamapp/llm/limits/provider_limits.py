"""The limits of one provider around each of its targets, and what its answers teach them."""

from collections.abc import Awaitable, Callable

from streamapp.errors import RateHints, RateLimited
from streamapp.llm.completion import Call, Completion
from streamapp.llm.limits.limiter import Limiter
from streamapp.llm.limits.rate_learner import UNLIMITED, PaceLearner
from streamapp.llm.limits.token_estimate import TokenEstimate
from streamapp.llm.provider import Completer
from streamapp.settings import ProviderSettings


class ProviderLimits:
    """The limits of one provider, for each of its targets.

    Args:
        settings: What is configured.
        outer: The limit over all providers.
        clock: Monotonic, seconds.
        sleep: Waits for seconds.
        on_wait: Hears how long each call that had to wait did so, seconds.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        *,
        outer: Limiter | None = None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        on_wait: Callable[[float], None] = lambda wait_s: None,
    ) -> None:
        self._clock = clock
        self._on_wait = on_wait
        is_limited = bool(settings.requests_per_minute or settings.tokens_per_minute)
        self.learner = PaceLearner(clock, is_limited=is_limited)
        self.limiter = Limiter(
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
            burst_s=settings.burst_s,
            max_concurrency=settings.max_concurrency,
            learner=self.learner,
            outer=outer,
            clock=clock,
            sleep=sleep,
        )

    def around(self, provider: Completer) -> "Limited":
        """Return ``provider`` behind these limits."""
        return Limited(
            provider,
            limiter=self.limiter,
            learner=self.learner,
            clock=self._clock,
            on_wait=self._on_wait,
        )


class Limited:
    """Lets ``provider`` be called as its limiter allows; what it answers teaches the limiter.

    Waiting does not count against the record's deadline.
    """

    def __init__(
        self,
        provider: Completer,
        *,
        limiter: Limiter,
        learner: PaceLearner,
        clock: Callable[[], float],
        on_wait: Callable[[float], None],
    ) -> None:
        self._provider = provider
        self._limiter = limiter
        self._learner = learner
        self._clock = clock
        self._on_wait = on_wait
        self._estimate = TokenEstimate()

    async def complete(self, call: Call) -> Completion:
        """Answer ``call`` in its turn; raises as the provider does."""
        limiter, learner = self._limiter, self._learner

        def estimate() -> float:
            return self._estimate.of(call) if limiter.counts_tokens else 0.0

        tokens = estimate()
        if not limiter.try_acquire(tokens):
            since = self._clock()
            with call.deadline.suspended():
                tokens = await limiter.acquire(estimate)
            self._on_wait(self._clock() - since)
        epoch, excess = learner.admitted(), 0.0
        try:
            completion = await self._provider.complete(call)
            used = completion.usage.input_tokens + completion.usage.output_tokens
            if tokens and used:
                excess = tokens - used
                self._estimate.correct(call, used)
            learner.answered(is_waiting=limiter.is_waiting)
            if completion.hints is not None:
                self._hear(completion.hints, used)
            return completion
        except RateLimited as error:
            if error.hints is not None:
                self._hear(error.hints, 0)
            learner.refused(
                epoch, known_per_s=limiter.rate_per_s, retry_after_s=error.retry_after_s
            )
            raise
        finally:
            limiter.release(excess)
            if learner.rate_per_s != UNLIMITED:
                limiter.adjust()

    def _hear(self, hints: RateHints, used: int) -> None:
        """Slow down to what the provider says; ``used`` tokens make one request."""
        if hints.requests_per_s is not None:
            self._learner.told(hints.requests_per_s)
        if hints.tokens_per_s is not None and used:
            self._learner.told(hints.tokens_per_s / used)
