"""The policies around a call, composed in one place and in one order."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from random import Random

from streamapp.errors import Failure
from streamapp.llm.caching.cache import Cached
from streamapp.llm.caching.fingerprint import Fingerprints
from streamapp.llm.caching.single_flight import SingleFlight
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.billing import Billed
from streamapp.llm.costs.budgeted import Budgeted
from streamapp.llm.limits.provider_limits import ProviderLimits
from streamapp.llm.observer import CallObserver
from streamapp.llm.provider import Completer
from streamapp.llm.routing.batches import Batched
from streamapp.llm.routing.breaker import Breaker, BreakerLimits
from streamapp.llm.routing.economy import Economy
from streamapp.llm.routing.fallback import Fallback
from streamapp.llm.routing.guarded import Guarded, require_closed
from streamapp.llm.routing.remaining import Candidate
from streamapp.llm.routing.retry import Retrying, RetryLimits
from streamapp.llm.routing.shown_errors import ShownErrors
from streamapp.llm.schemas.schema import Schemas
from streamapp.llm.schemas.structured import Structured
from streamapp.llm.timeout import TimeLimited, TimeLimits
from streamapp.running_clock import RunningClock
from streamapp.settings import ModelSettings, ProviderSettings

#: Puts something around the attempts at the provider of that name: metrics, traces.
Observed = Callable[[str, Completer], Completer]


def unobserved(name: str, provider: Completer) -> Completer:
    """Return ``provider`` as it is."""
    return provider


class Target:
    """One model of one provider: puts the model's name into the call.

    Args:
        provider: Of the model.
        model: As the provider names it.
        breaker: Told how many calls are on their way; those in a limiter's line are not.
        clock: Monotonic, seconds.
    """

    def __init__(
        self, provider: Completer, model: str, *, breaker: Breaker, clock: Callable[[], float]
    ) -> None:
        self._provider = provider
        self._model = model
        self._breaker = breaker
        self._clock = clock

    async def complete(self, call: Call) -> Completion:
        """Answer ``call`` with this target's model."""
        began_at = self._clock()
        self._breaker.in_flight += 1
        try:
            return await self._provider.complete(call.but(model=self._model))
        except Failure as failure:
            failure.took_s = self._clock() - began_at
            raise
        finally:
            self._breaker.in_flight -= 1


class Policies:
    """Composes what answers the calls of each route.

    Args:
        providers: By their configured names.
        settings: Of the providers.
        limits: Of the providers; shared by all their models.
        retries: Bounds of the retries.
        breakers: Bounds of each target's breaker.
        economy: What shares, prices and budgets calls; None for none of it.
        observed: Puts metrics and traces around each attempt.
        observer: Hears of waits and retries.
        rng: Source of jitter.
        clock: Monotonic, seconds.
        running: Of the process, for timeouts; the loop's time where None.
        sleep: Waits between attempts and for breakers, by ``clock``.

    Attributes:
        candidates: Every target that a route has, as ``provider/model``, with its breaker: routes
            share them.
    """

    def __init__(
        self,
        providers: Mapping[str, Completer],
        settings: Mapping[str, ProviderSettings],
        *,
        limits: Mapping[str, ProviderLimits],
        retries: RetryLimits | None,
        breakers: BreakerLimits | None,
        economy: Economy | None,
        observed: Observed,
        observer: CallObserver,
        rng: Random | None,
        clock: Callable[[], float],
        running: RunningClock | None,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._providers = providers
        self._settings = settings
        self._limits = limits
        self._retries = retries or RetryLimits()
        self._breakers = breakers or BreakerLimits()
        self._economy = economy
        self._observed = observed
        self._observer = observer
        self._rng = rng
        self._clock = clock
        self._running = running
        self._sleep = sleep
        self._schemas = Schemas()
        self._within_budget: dict[str, Completer] = {}
        self.candidates: dict[str, Candidate] = {}

    def around(self, name: str, route: ModelSettings) -> Completer:
        """Return what answers the calls of a route: its targets, with every policy around them.

        From the outside in, a call goes through: batches, single flight, cache, budget, structured
        output, fallback, and for each target retry, breaker, limiter, billing, metrics and traces,
        shown errors, timeout. Without an economy nothing is shared, cached, budgeted or billed.

        Args:
            name: Of the route; a budget that is spent may name it as its substitute.
            route: Its targets.
        """
        economy, schemas = self._economy, self._schemas
        answering: Completer = Fallback(
            [self._candidate(target) for target in route.targets],
            context_length=[self._candidate(target) for target in route.context_length],
            content_filter=[self._candidate(target) for target in route.content_filter],
            moves_on=route.on_timeout == "next",
            paid_attempts=self._retries.paid_attempts,
            sleep=self._sleep,
        )
        answering = self._within_budget[name] = Structured(answering, schemas=schemas)
        if economy is None:
            return Batched(answering)
        if economy.budgets:
            substitute = self._within_budget.__getitem__
            answering = Budgeted(
                answering,
                budgets=economy.budgets,
                substitute=substitute,
                paid_attempts=self._retries.paid_attempts,
            )
        if economy.tiers and economy.cache_ttl_s > 0:
            answering = Cached(
                answering,
                tiers=economy.tiers,
                ttl_s=economy.cache_ttl_s,
                schemas=schemas,
                now=economy.now,
                on_lookup=economy.on_lookup,
            )
        # Outside the cache, so that no call falls between the end of a shared one and the cache.
        fingerprints = Fingerprints(_scope_of(name, route, self._settings))
        return Batched(SingleFlight(answering, fingerprints=fingerprints))

    def _candidate(self, target: str) -> Candidate:
        if target not in self.candidates:
            name, _, model = target.partition("/")
            times = TimeLimits.of(self._settings[name], model)
            attempt: Completer = TimeLimited(
                self._providers[name], name=name, limits=times, running=self._running
            )
            attempt = ShownErrors(
                attempt,
                name=name,
                is_wanted=self._settings[name].show_errors,
                secrets=self._settings[name].secrets,
            )
            attempt = self._observed(name, attempt)
            if self._economy is not None:
                attempt = Billed(
                    attempt, name=name, prices=self._economy.prices, payers=self._economy.all_payers
                )
            breaker = Breaker(target, limits=self._breakers, clock=self._clock, rng=self._rng)
            limited = self._limits[name].around(
                Target(attempt, model, breaker=breaker, clock=self._clock),
                model,
                # Half of it without an answer to anybody makes another target the better bet.
                silence_s=times.timeout_s / 2,
                require=partial(require_closed, breaker=breaker),
            )
            attempts = Retrying(
                Guarded(limited, breaker=breaker, sleep=self._sleep),
                limits=self._retries,
                rng=self._rng,
                sleep=self._sleep,
                on_retry=partial(self._observer.retried, name),
            )
            self.candidates[target] = Candidate(attempts, breaker, limited)
        return self.candidates[target]


def _scope_of(
    name: str, route: ModelSettings, providers: Mapping[str, ProviderSettings]
) -> Sequence[str]:
    """Return what the answers of a route depend on: its targets, and where their providers are."""
    used = {target.partition("/")[0] for target in route.all_targets}
    places = [
        f"{provider} {settings.kind} {settings.base_url} {settings.extra_body}"
        for provider, settings in sorted(providers.items())
        if provider in used
    ]
    return [name, route.model_dump_json(exclude={"on_timeout"}), *places]
