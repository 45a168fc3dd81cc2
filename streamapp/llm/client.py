"""The client that a processor calls: one per record, which sums up what its calls cost."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, ParamSpec, Protocol, TypeVar, get_type_hints

from pydantic import TypeAdapter

from streamapp.errors import Failure, PromptError
from streamapp.llm.completion import Call, Completion, EmbeddingInput
from streamapp.llm.costs.prices import added_usd
from streamapp.llm.provider import Completer
from streamapp.llm.step_results import decode_completion, encode_completion
from streamapp.llm.steps import Steps, fingerprint_of
from streamapp.records.response import NO_USAGE, Usage

P = ParamSpec("P")
S = TypeVar("S")

Embed = Callable[[Sequence[str]], Awaitable[list[list[float]]]]


class RenderedPrompt(Protocol):
    """The version of a prompt that the record uses."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Sampling parameters by OpenAI's names."""
        ...

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """JSON Schema of the answer, or None for text."""
        ...

    async def messages(self, variables: Mapping[str, Any], *, embed: Embed) -> list[dict[str, Any]]:
        """Return OpenAI-shaped messages.

        Args:
            variables: What the placeholders stand for.
            embed: Returns one vector a text, where the messages depend on what is like them.

        Raises:
            PromptError: A variable is missing.
        """
        ...


class LLMClient:
    """The model as one record sees it: its prompt, its route, its deadline.

    After the processor has run, the properties describe all calls together.
    """

    def __init__(
        self,
        *,
        provider: Completer,
        call: Call,
        prompt: RenderedPrompt | None = None,
        embedder: Completer | None = None,
        steps: Steps | None = None,
        id: str = "",
    ) -> None:
        """Make the client of one record.

        Args:
            provider: The policies and targets of the record's route.
            call: What all calls of the record have in common; its model is the route's name.
            prompt: What `generate` renders.
            embedder: The default route for embeddings; ``provider`` where None.
            steps: Of the record; nothing is stored where None.
            id: The record's.
        """
        self._provider = provider
        self._embedder = embedder or provider
        self._call = call
        self._prompt = prompt
        self._steps = steps or Steps()
        self._id = id
        self._usage = self._original_usage = NO_USAGE
        self._cost_usd: Decimal | None = Decimal(0)
        self._attempts = 0
        self._completions = 0
        self._has_asked = False
        self._is_cached = True
        self._last: Completion | None = None

    async def generate(
        self, variables: Mapping[str, Any], *, schema: Mapping[str, Any] | None = None
    ) -> Any:
        """Render the record's prompt and return the answer.

        Args:
            variables: What the prompt's placeholders stand for.
            schema: JSON Schema in place of the prompt's own.

        Returns:
            Text, or the parsed and valid value where there is a schema.

        Raises:
            PromptError: There is no prompt, or a variable is missing.
            Failure: No answer, or none that fits.
        """
        if self._prompt is None:
            raise PromptError("this record type has no prompt")
        schema = self._prompt.output_schema if schema is None else schema
        messages = await self._prompt.messages(variables, embed=self._vectors)
        return await self.chat(messages, parameters=self._prompt.parameters, schema=schema)

    async def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        parameters: Mapping[str, Any] | None = None,
        schema: Mapping[str, Any] | None = None,
        sample: int = 0,
    ) -> Any:
        """Send OpenAI-shaped messages as they are; returns and raises as `generate`.

        Args:
            messages: Turns, in order.
            parameters: By OpenAI's names.
            schema: JSON Schema of the answer.
            sample: Another answer to an equal question, for each number.
        """
        call = self._call.but(
            messages=messages, parameters=parameters or {}, output_schema=schema, sample=sample
        )
        return await self._complete(call)

    async def embed(
        self, inputs: Sequence[EmbeddingInput], *, parameters: Mapping[str, Any] | None = None
    ) -> list[list[float]]:
        """Return one vector per input, in their order; raises as `generate`.

        Args:
            inputs: Texts, or the numbers of their tokens.
            parameters: By OpenAI's names, such as ``dimensions``.
        """
        call = self._call.but(
            operation="embeddings", inputs=inputs, parameters=parameters or {}, chunks=None
        )
        vectors: list[list[float]] = await self._complete(call)
        return vectors

    async def step(
        self, name: str, make: Callable[P, Awaitable[S]], *args: P.args, **kwargs: P.kwargs
    ) -> S:
        """Return what ``make`` gives, and on a redelivery of the record what it gave before.

        Args:
            name: Of the step, unchanged by what it is given.
            make: Any coroutine function; its result is stored as JSON, and read back by the
                return annotation where there is one.
            args: For it; they belong to what is asked, as far as they are JSON.
            kwargs: Likewise.

        Raises:
            TooLarge: The result does not fit into a record.
            Exception: As of ``make``; what failed is not stored.
        """
        adapter = _adapter_of(make)
        return await self._steps.run(
            "step",
            lambda: fingerprint_of(name, args, kwargs),
            lambda: make(*args, **kwargs),
            encode=adapter.dump_json,
            decode=adapter.validate_json,
        )

    def idempotency_key(self, name: str) -> str:
        """Return a key for what must not happen twice outside: equal on every redelivery.

        Args:
            name: Of what is done; another one for each thing that the record does.
        """
        return fingerprint_of(self._id, name)

    async def _vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """Return vectors for the prompt's own use."""
        call = replace(self._call, operation="embeddings", inputs=texts, chunks=None)
        vectors: list[list[float]] = await self._complete(call, self._embedder)
        return vectors

    async def _complete(self, call: Call, provider: Completer | None = None) -> Any:
        if self._has_asked:
            call.deadline.invest()
        self._has_asked = True
        completer = provider or self._provider
        try:
            completion = await self._steps.run(
                "model",
                lambda: fingerprint_of(
                    call.operation,
                    call.model,
                    call.messages,
                    call.inputs,
                    call.parameters,
                    call.output_schema,
                    *((call.sample,) if call.sample else ()),
                ),
                lambda: completer.complete(call),
                encode=encode_completion,
                decode=decode_completion,
            )
        except Failure as failure:
            self._attempts += failure.attempts
            failure.attempts = self._attempts
            raise
        self._usage += completion.usage
        self._original_usage += completion.original_usage or completion.usage
        self._attempts += completion.attempts
        self._completions += 1
        self._cost_usd = added_usd(self._cost_usd, completion.cost_usd)
        self._is_cached = self._is_cached and completion.cached
        self._last = completion
        return completion.output

    @property
    def usage(self) -> Usage:
        """Tokens of all calls."""
        return self._usage

    @property
    def original_usage(self) -> Usage:
        """Tokens of all calls when they were paid for, if by others."""
        return self._original_usage

    @property
    def tool_calls(self) -> Sequence[Mapping[str, Any]]:
        """What the last answer wants called, by OpenAI's shape."""
        return self._last.tool_calls if self._last else ()

    @property
    def logprobs(self) -> Mapping[str, Any] | None:
        """OpenAI's, of the last answer."""
        return self._last.logprobs if self._last else None

    @property
    def cost_usd(self) -> Decimal | None:
        """US dollars of all calls; None where the price of one is unknown."""
        return self._cost_usd

    @property
    def attempts(self) -> int:
        """Provider attempts of all calls, failed ones included."""
        return self._attempts

    @property
    def cached(self) -> bool:
        """Whether there were calls and every one came from a cache."""
        return self._last is not None and self._is_cached

    @property
    def provider(self) -> str:
        """Name of the provider that answered last; empty without a call."""
        return self._last.provider if self._last else ""

    @property
    def model(self) -> str:
        """The model that answered last; the route's name without a call."""
        return self._last.model if self._last else self._call.model

    @property
    def finish_reason(self) -> str | None:
        """Why the last answer ended."""
        return self._last.finish_reason if self._last else None

    def fingerprint_of(self, output: Any) -> str | None:
        """Return the fingerprint under which ``output`` answers equal calls, or None.

        Only where the record made one call, paid for it, and ``output`` is its very answer.
        """
        if self._last is None or self._completions > 1 or output is not self._last.output:
            return None
        return self._last.fingerprint or None


def _adapter_of(make: Callable[..., Awaitable[S]]) -> TypeAdapter[S]:
    """Return how results of ``make`` are written and read: by its annotation, else as JSON."""
    try:
        found: Any = get_type_hints(make).get("return", Any)
    except (NameError, TypeError):  # names that only a type checker knows, or no function
        found = Any
    return TypeAdapter(found)
