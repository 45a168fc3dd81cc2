"""The limits of one provider and of each of its models, and what answers teach them."""

from collections.abc import Awaitable, Callable, Iterator, Mapping

from streamapp.llm.completion import Call
from streamapp.llm.limits.limited import Limited, always
from streamapp.llm.limits.limiter import Limiter
from streamapp.llm.limits.rate_learner import UNLIMITED, PaceLearner
from streamapp.llm.provider import Completer
from streamapp.settings import ProviderModelSettings, ProviderSettings

_NOTHING = ProviderModelSettings()


class ProviderLimits:
    """The limits of one provider, and within them those of its models.

    What a provider refuses, and when it wants to be asked again, is learned for each model by
    itself: vendors limit models apart.

    Args:
        settings: What is configured.
        outer: The limit over all providers.
        clock: Monotonic, seconds.
        sleep: Waits for seconds.
        on_wait: Hears how long each call that had to wait did so, seconds.

    Attributes:
        limiter: Of all its models together.
        learners: Of each model that has a target.
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
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._on_wait = on_wait
        self._models: dict[str, Limiter] = {}
        self._learners: dict[str, PaceLearner] = {}
        self.limiter = Limiter(
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
            burst_s=settings.burst_s,
            max_concurrency=settings.max_concurrency,
            outer=outer,
            clock=clock,
            sleep=sleep,
        )

    @property
    def learners(self) -> Mapping[str, PaceLearner]:
        """What was learned, by model."""
        return self._learners

    def limiters(self) -> Iterator[Limiter]:
        """Return the limiters of the models, then that of the provider."""
        yield from self._models.values()
        yield self.limiter

    @property
    def waiting(self) -> int:
        """How many calls wait now, for this limit, that of their model or the one over all."""
        return sum(limiter.waiting for limiter in self._models.values())

    @property
    def share(self) -> float:
        """The part of each limit that is this worker's."""
        return self.limiter.share

    def begin_at(self, model: str, rate_per_s: float, window: float, *, pause_s: float) -> None:
        """Begin with what other workers have learned, unless the model has taught this one.

        Args:
            model: Passed over where it has no target.
            rate_per_s: Requests of all workers together; infinite for no limit.
            window: Their calls in flight; infinite for no limit.
            pause_s: For so long the provider wants no calls; 0 or less for no pause.
        """
        if (learner := self._learners.get(model)) is not None:
            learner.begin_at(rate_per_s * self.share, window * self.share, pause_s=pause_s)
            self._models[model].adjust()

    def set_share(self, share: float) -> None:
        """Keep only a part of each limit, learned ones included.

        Args:
            share: In [0, 1]; see `Limiter.set_share`.
        """
        before = self.limiter.share
        for limiter in [self.limiter, *self._models.values()]:
            limiter.set_share(share)
        for model, learner in self._learners.items():
            learner.rescale(self.limiter.share / before)
            self._models[model].adjust()

    def around(
        self,
        provider: Completer,
        model: str,
        *,
        silence_s: float = UNLIMITED,
        require: Callable[[Call], None] = always,
    ) -> Limited:
        """Return ``provider`` behind these limits and those of ``model``.

        Args:
            provider: The target.
            model: Its model.
            silence_s: See `Limited`.
            require: See `Limited`.
        """
        settings = self._settings
        if model not in self._models:
            own = settings.models.get(model, _NOTHING)
            is_known = bool(own.requests_per_minute or settings.requests_per_minute)
            is_limited = is_known or bool(own.tokens_per_minute or settings.tokens_per_minute)
            learner = PaceLearner(self._clock, is_limited=is_limited, is_known=is_known)
            self._learners[model] = learner
            self._models[model] = Limiter(
                requests_per_minute=own.requests_per_minute,
                tokens_per_minute=own.tokens_per_minute,
                burst_s=settings.burst_s if own.burst_s is None else own.burst_s,
                max_concurrency=own.max_concurrency,
                learner=learner,
                outer=self.limiter,
                clock=self._clock,
                sleep=self._sleep,
            )
            self._models[model].set_share(self.limiter.share)
        return Limited(
            provider,
            limiter=self._models[model],
            outer=self.limiter,
            learner=self._learners[model],
            clock=self._clock,
            on_wait=self._on_wait,
            silence_s=silence_s,
            require=require,
        )
