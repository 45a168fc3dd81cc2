"""Spans for attempts at providers, by OpenTelemetry's names for generative AI.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from yarl import URL

from streamapp.errors import Failure
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.prices import Prices
from streamapp.llm.observer import CallObserver
from streamapp.llm.provider import Completer
from streamapp.settings import ProviderKind, ProviderSettings

if TYPE_CHECKING:  # an extra
    from streamapp.telemetry.tracing import Tracing

_NAMES: Mapping[ProviderKind, str] = {"azure-openai": "azure.ai.openai"}
_PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "stop": "gen_ai.request.stop_sequences",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
}


class TracedProvider:
    """Puts each attempt at ``provider`` into a span.

    Args:
        name: The configured provider's name.
        settings: The configured provider.
        prices: Of what it answers.
    """

    def __init__(
        self,
        provider: Completer,
        *,
        name: str,
        settings: ProviderSettings,
        prices: Prices,
        tracing: "Tracing",
    ) -> None:
        self._provider = provider
        self._name = name
        self._prices = prices
        self._tracing = tracing
        self._common = {
            "gen_ai.provider.name": _NAMES.get(settings.kind, settings.kind),
            "streamapp.provider": name,
            **_server(settings.base_url),
        }

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``; raises as the provider."""
        tracing = self._tracing
        with tracing.span(f"{call.operation} {call.model}", "client") as span:
            if not span.is_sampled:
                return await self._provider.complete(call)
            span.set(self._common)
            span.set(_asked(call))
            if tracing.captures_content:
                span.set(_question(call))
            try:
                completion = await self._provider.complete(call)
            except Failure as failure:
                status = getattr(failure, "status", None)
                if status is not None:
                    span.set({"http.response.status_code": status})
                raise
            span.set(_answered(completion))
            span.set(self._cost(call, completion))
            if tracing.captures_content and call.operation == "chat":
                span.set(_answer(completion))
        return completion

    def _cost(self, call: Call, completion: Completion) -> dict[str, str]:
        """Return what the answer costs, as it will be billed; nothing where that is a guess."""
        usage = completion.usage
        cost_usd = None
        if not (usage.is_empty or usage.estimated):
            cost_usd = self._prices.cost_usd(
                usage, provider=self._name, asked=call.model, answered=completion.model
            )
        return {} if cost_usd is None else {"streamapp.cost_usd": format(cost_usd, "f")}


class TracedObserver:
    """Tells the current span what the policies do."""

    def __init__(self, observer: CallObserver, tracing: "Tracing") -> None:
        self._observer = observer
        self._tracing = tracing

    def waited(self, provider: str, wait_s: float) -> None:
        """Add the wait for a limit as a span."""
        self._observer.waited(provider, wait_s)
        self._tracing.past("wait for limit", wait_s, {"streamapp.provider": provider})

    def retried(self, provider: str, reason: str) -> None:
        """Add the retry as an event."""
        self._observer.retried(provider, reason)
        span = self._tracing.current.get()
        if span is not None:
            span.event("retry", {"streamapp.provider": provider, "error.type": reason})


def _asked(call: Call) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": call.operation,
        "gen_ai.request.model": call.model,
    }
    if call.prompt:
        attributes["gen_ai.prompt.name"] = call.prompt.rpartition(":")[0]
        attributes["streamapp.prompt"] = call.prompt
    if call.chunks is not None:
        attributes["gen_ai.request.stream"] = True
    if call.operation == "chat":
        attributes["gen_ai.output.type"] = "json" if call.output_schema else "text"
    for parameter, name in _PARAMETERS.items():
        value = call.parameters.get(parameter)
        if value is not None:
            is_one_stop = parameter == "stop" and isinstance(value, str)
            attributes[name] = [value] if is_one_stop else value
    return attributes


def _answered(completion: Completion) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "gen_ai.response.model": completion.model,
        "gen_ai.usage.input_tokens": completion.usage.input_tokens,
        "gen_ai.usage.output_tokens": completion.usage.output_tokens,
    }
    if completion.finish_reason:
        attributes["gen_ai.response.finish_reasons"] = [completion.finish_reason]
    return attributes


def _question(call: Call) -> dict[str, str]:
    system, messages = [], []
    for message in call.messages:
        parts = _parts(message.get("content"))
        if message.get("role") in ("system", "developer"):
            system += parts
        else:
            messages.append({"role": message.get("role"), "parts": parts})
    found = {"gen_ai.system_instructions": system, "gen_ai.input.messages": messages}
    return {name: orjson.dumps(value).decode() for name, value in found.items() if value}


def _answer(completion: Completion) -> dict[str, str]:
    message = {
        "role": "assistant",
        "parts": _parts(completion.output),
        "finish_reason": completion.finish_reason,
    }
    return {"gen_ai.output.messages": orjson.dumps([message]).decode()}


def _parts(content: Any) -> list[Any]:
    return [{"type": "text", "content": content}] if isinstance(content, str) else content or []


def _server(base_url: str | None) -> dict[str, Any]:
    url = URL(base_url) if base_url else URL()
    return {"server.address": url.host, "server.port": url.port} if url.host else {}
