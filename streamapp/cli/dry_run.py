"""What a worker would do with a record, found out on its own way but for the call itself."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from streamapp.cli.lines import Line
from streamapp.errors import Failure
from streamapp.llm.completion import Call, Completion
from streamapp.llm.cost import added_usd, prices_of
from streamapp.llm.fingerprint import Fingerprints
from streamapp.llm.providers.offline import OfflineProvider
from streamapp.llm.routes import Routes
from streamapp.llm.tokens import ANSWER_TOKENS, estimated_tokens
from streamapp.processors.registry import Registry
from streamapp.processors.router import Router
from streamapp.prompts.registry import PromptRegistry
from streamapp.records.response import Usage
from streamapp.settings import Settings


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of one record.

    Attributes:
        problem: Kind and message of its dead letter; the rest is empty then.
        targets: ``provider/model`` of each call, where nothing fails.
        cache: ``off``, ``possible``, or ``line N``: an equal call stands there.
        tokens: Estimate of questions and answers together.
        cost_usd: Estimate; None where a price is unknown.
    """

    line: int
    id: str
    type: str = ""
    problem: str = ""
    processor: str = ""
    prompt: str = ""
    targets: tuple[str, ...] = ()
    cache: str = ""
    tokens: int = 0
    cost_usd: Decimal | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the explanation for machines; money as text."""
        cost = None if self.cost_usd is None else format(self.cost_usd, "f")
        return asdict(self) | {"cost_usd": cost, "targets": list(self.targets)}


class DryRun:
    """Explains records one after the other; calls no provider.

    Args:
        settings: Names the processors, routes and prices.
        prompts: What references are looked up in.
    """

    def __init__(self, settings: Settings, prompts: PromptRegistry) -> None:
        self._registry = Registry.load(settings.processor_modules)
        self._calls: list[tuple[str, Call]] = []
        self._prices = prices_of(settings)
        self._seen: dict[str, int] = {}
        self._router = Router(
            registry=self._registry,
            prompts=prompts,
            routes=Routes(
                _unlimited(settings),
                {name: _Noting(name, self._calls) for name in settings.providers},
            ),
            deadline_s=settings.deadline_s,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
        )

    async def explain(self, line: Line, key: bytes | None) -> Explanation:
        """Return what a worker would do with the record of that line."""
        self._calls.clear()
        id = f"line {line.number}"
        try:
            request = self._router.decode(line.value)
            id = request.id or id
            answer = await self._router.answer(request, id=id, key=key)
        except Failure as failure:
            return Explanation(line.number, id, problem=f"{failure.kind.value}: {failure}")
        use = answer.response.prompt
        return Explanation(
            line=line.number,
            id=id,
            type=request.type,
            processor=self._registry.processor_for(request.type).origin,
            prompt=f"{use.name}:{use.version}{f' @{use.label}' if use.label else ''}"
            if use
            else "",
            targets=tuple(f"{provider}/{call.model}" for provider, call in self._calls),
            cache=self._cache(line.number),
            tokens=round(sum(estimated_tokens(call) for _, call in self._calls)),
            cost_usd=self._cost(),
        )

    def _cache(self, line: int) -> str:
        words = []
        for target, call in self._calls:
            fingerprint = Fingerprints([target, call.model]).of(call) if call.cache else ""
            first = self._seen.setdefault(fingerprint, line) if fingerprint else line
            words.append(
                "off" if not fingerprint else "possible" if first == line else f"line {first}"
            )
        return ", ".join(dict.fromkeys(words))

    def _cost(self) -> Decimal | None:
        total: Decimal | None = Decimal(0)
        for provider, call in self._calls:
            parameters: Mapping[str, Any] = call.parameters
            bound = parameters.get("max_completion_tokens") or parameters.get("max_tokens")
            written = round(bound or ANSWER_TOKENS) if call.operation == "chat" else 0
            read = max(round(estimated_tokens(call)) - written, 0)
            usage = Usage(input_tokens=read, output_tokens=written)
            cost = self._prices.cost_usd(
                usage, provider=provider, asked=call.model, answered=call.model
            )
            total = added_usd(total, cost)
        return total


class _Noting:
    """Notes each call and answers it by rules, so that a processor of many calls goes on."""

    def __init__(self, name: str, calls: list[tuple[str, Call]]) -> None:
        self._name = name
        self._calls = calls
        self._offline = OfflineProvider(name)

    async def complete(self, call: Call) -> Completion:
        self._calls.append((self._name, call))
        return await self._offline.complete(call)

    async def aclose(self) -> None:
        """Nothing to close."""


def _unlimited(settings: Settings) -> Settings:
    """Return the settings without limits: a dry run waits for nobody."""
    none = {"requests_per_minute": None, "tokens_per_minute": None, "max_concurrency": None}
    return settings.model_copy(
        update={
            "global_requests_per_minute": None,
            "global_tokens_per_minute": None,
            "providers": {
                name: provider.model_copy(update=none)
                for name, provider in settings.providers.items()
            },
        }
    )
