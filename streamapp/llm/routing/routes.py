"""Routes: the configured model names, and the policies and targets behind each."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from random import Random

from streamapp.errors import ConfigurationError, InvalidRecord
from streamapp.llm.completion import Call, Operation
from streamapp.llm.limits.limiter import Limiter
from streamapp.llm.limits.provider_limits import ProviderLimits
from streamapp.llm.observer import CallObserver, Unobserved
from streamapp.llm.provider import Completer, LLMProvider
from streamapp.llm.routing.breaker import BreakerLimits
from streamapp.llm.routing.economy import Economy
from streamapp.llm.routing.policies import Observed, Policies, unobserved
from streamapp.llm.routing.retry import RetryLimits
from streamapp.records.problems import no_such_route
from streamapp.running_clock import RunningClock
from streamapp.settings import Settings
from streamapp.settings.embed_route import embed_route

DEFAULT = "default"


class Routes:
    """The configured model names; records can name nothing else.

    Attributes:
        limits: Of each provider, by its name.
    """

    def __init__(
        self,
        settings: Settings,
        providers: Mapping[str, LLMProvider],
        *,
        limits: RetryLimits | None = None,
        breaker_limits: BreakerLimits | None = None,
        economy: Economy | None = None,
        observed: Observed = unobserved,
        observer: CallObserver | None = None,
        rng: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        running: RunningClock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Compose the policies of every route.

        Args:
            settings: Its ``models`` with a ``default``, ``embed_model``, and the limits.
            providers: By their configured names; closed by `aclose`.
            limits: Of the retries.
            breaker_limits: Of each target's breaker.
            economy: What shares, prices and budgets calls; None for none of it.
            observed: Puts metrics and traces around each attempt at a provider.
            observer: Hears of waits and retries.
            rng: Source of jitter.
            clock: Monotonic, seconds.
            running: Of the process, for timeouts; the loop's time where None.
            sleep: Waits between attempts, for limits and for breakers, by ``clock``.

        Raises:
            ConfigurationError: There is no default route, or budgets name some that are none; a
                line for each.
        """
        problems = [
            f"budgets.{name}.model: there is no such route"
            for name, budget in settings.budgets.items()
            if budget.model is not None and budget.model not in settings.models
        ]
        if DEFAULT not in settings.models:
            problems.insert(0, "no route: add [models.default] to the file")
        if problems:
            raise ConfigurationError("\n".join(problems))
        self._providers = providers
        self._budgets = economy.budgets if economy else None
        observer = observer or Unobserved()
        self._overall = Limiter(
            requests_per_minute=settings.global_requests_per_minute,
            tokens_per_minute=settings.global_tokens_per_minute,
            burst_s=settings.global_burst_s,
            clock=clock,
            sleep=sleep,
        )
        self.limits = {
            name: ProviderLimits(
                provider,
                outer=self._overall,
                clock=clock,
                sleep=sleep,
                on_wait=partial(observer.waited, name),
            )
            for name, provider in settings.providers.items()
        }
        self._policies = Policies(
            providers,
            settings.providers,
            limits=self.limits,
            retries=limits,
            breakers=breaker_limits,
            economy=economy,
            observed=observed,
            observer=observer,
            rng=rng,
            clock=clock,
            running=running,
            sleep=sleep,
        )
        self._routes = {
            name: self._policies.around(name, route) for name, route in settings.models.items()
        }
        self._embed = self._routes[DEFAULT]
        if settings.embed_model in settings.models:
            self._embed = self._routes[settings.embed_model]
        elif embed := embed_route(
            settings.embed_model, providers=settings.providers, models=settings.models
        ):
            self._embed = self._policies.around("", embed)

    def set_share(self, share: float) -> None:
        """Keep only this worker's part of every limit, at every assignment of partitions.

        What a limit has left is carried over, so that over all workers it holds meanwhile.

        Args:
            share: The partitions of this worker / all partitions, in [0, 1]. Without any, a
                hundredth is left, so that HTTP is still answered.
        """
        for limits in self.limits.values():
            limits.set_share(share)
        self._overall.set_share(share)

    def impaired(self) -> Sequence[str]:
        """Return the targets that are taken for down, as ``provider/model``."""
        return [
            name
            for name, candidate in self._policies.candidates.items()
            if candidate.breaker.is_open and not candidate.breaker.untried_s
        ]

    def untried(self) -> Sequence[str]:
        """Return the targets that failed and that nobody has asked for long, or that refuse all.

        In words: what the latter refuse with is the operator's to mend.
        """
        told = []
        for name, candidate in self._policies.candidates.items():
            breaker = candidate.breaker
            if untried_s := breaker.untried_s:
                told.append(f"{name}: failed {untried_s:.0f} s ago, not asked since")
            elif breaker.denial:
                told.append(f"{name} refuses every call: {breaker.denial}")
        return told

    def breaker_states(self) -> Mapping[str, int]:
        """Return the state of each provider's worst target: 0 closed, 1 half open, 2 open."""
        states: dict[str, int] = {}
        for target, candidate in self._policies.candidates.items():
            provider, _, _ = target.partition("/")
            states[provider] = max(states.get(provider, 0), candidate.breaker.state)
        return states

    def held(self) -> dict[str, int]:
        """Return how many calls wait for limits, set or learned, by a name for it; if any do."""
        waiting = sum(limits.waiting for limits in self.limits.values())
        return {"waiting_for_limits": waiting} if waiting else {}

    @property
    def targets(self) -> tuple[str, ...]:
        """What may be called, as ``provider/model``."""
        return tuple(self._policies.candidates)

    @property
    def names(self) -> tuple[str, ...]:
        """What a record's ``model`` may name."""
        return tuple(self._routes)

    def resolve(self, name: str | None, *, operation: Operation = "chat") -> Completer:
        """Return what answers calls for the model ``name``, policies included.

        Args:
            name: A route's name; None for the default one.
            operation: Embeddings have a default of their own, by either name: OpenAI's clients
                always send one.

        Raises:
            InvalidRecord: There is no such route.
        """
        if name is None or name == DEFAULT:
            return self._embed if operation == "embeddings" else self._routes[DEFAULT]
        try:
            return self._routes[name]
        except KeyError:
            raise InvalidRecord(no_such_route(name, self._routes)) from None

    def refuses(self, call: Call) -> bool:
        """Whether a call would be refused now whatever it asks: by its route, or a budget."""
        if call.model not in self._routes:
            return True
        return self._budgets is not None and self._budgets.refuses(call.tenant, call.place)

    async def aclose(self) -> None:
        """Close every provider; calls that wait are not begun any more."""
        for limits in self.limits.values():
            for limiter in limits.limiters():
                limiter.close()
        self._overall.close()
        for provider in self._providers.values():
            await provider.aclose()
