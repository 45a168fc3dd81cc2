"""Which target a model name stands for, and the policies around it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from random import Random

from streamapp.errors import ConfigurationError, InvalidRecord
from streamapp.llm.completion import Call, Completion, Operation
from streamapp.llm.provider import LLMProvider
from streamapp.llm.retry import Retrying, RetryLimits
from streamapp.llm.schema import Schemas
from streamapp.llm.structured import Structured
from streamapp.settings import Settings

DEFAULT = "default"


class Target:
    """One model of one provider: puts the model's name into the call."""

    def __init__(self, provider: LLMProvider, model: str) -> None:
        self._provider = provider
        self._model = model

    async def complete(self, call: Call) -> Completion:
        """Answer ``call`` with this target's model."""
        return await self._provider.complete(replace(call, model=self._model))

    async def aclose(self) -> None:
        """Close the provider."""
        await self._provider.aclose()


class Routes:
    """The configured model names; records can name nothing else."""

    def __init__(
        self,
        settings: Settings,
        providers: Mapping[str, LLMProvider],
        *,
        limits: RetryLimits | None = None,
        rng: Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Compose the policies of every route.

        Args:
            settings: Its ``models`` with a ``default``, and ``embed_model``.
            providers: By their configured names; closed by `aclose`.
            limits: Of the retries.
            rng: Source of jitter.
            sleep: Waits between attempts.

        Raises:
            ConfigurationError: There is no default route.
        """
        if DEFAULT not in settings.models:
            raise ConfigurationError("no route: add [models.default] to the file")
        self._providers = providers
        schemas = Schemas()

        def compose(target: str) -> LLMProvider:
            provider, _, model = target.partition("/")
            attempts = Retrying(
                Target(providers[provider], model), limits=limits, rng=rng, sleep=sleep
            )
            return Structured(attempts, schemas=schemas)

        self._routes = {name: compose(route.targets[0]) for name, route in settings.models.items()}
        embed_target = _embed_target(settings)
        self._embed = compose(embed_target) if embed_target else self._routes[DEFAULT]

    @property
    def names(self) -> tuple[str, ...]:
        """What a record's ``model`` may name."""
        return tuple(self._routes)

    def resolve(self, name: str | None, *, operation: Operation = "chat") -> LLMProvider:
        """Return what answers calls for the model ``name``, policies included.

        Args:
            name: A route's name; None for the default one.
            operation: Without a name, embeddings have a default of their own.

        Raises:
            InvalidRecord: There is no such route.
        """
        if name is None:
            return self._embed if operation == "embeddings" else self._routes[DEFAULT]
        try:
            return self._routes[name]
        except KeyError:
            known = ", ".join(sorted(self._routes))
            raise InvalidRecord(f"model: no such route; there are: {known}") from None

    async def aclose(self) -> None:
        """Close every provider."""
        for provider in self._providers.values():
            await provider.aclose()


def _embed_target(settings: Settings) -> str | None:
    """Return ``embed_model`` as a target; a bare name is of the default route's provider."""
    model = settings.embed_model
    if model is None or model.partition("/")[0] in settings.providers:
        return model
    provider = settings.models[DEFAULT].targets[0].partition("/")[0]
    return f"{provider}/{model}"
