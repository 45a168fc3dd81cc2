"""What a processor calls: one client per record, which sums up what its calls cost."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from streamapp.errors import Failure, PromptError
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.provider import LLMProvider
from streamapp.records.response import Usage


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

    def render(self, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return OpenAI-shaped messages.

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
        provider: LLMProvider,
        model: str,
        deadline: Deadline,
        prompt: RenderedPrompt | None = None,
        task: Mapping[str, Any] | None = None,
    ) -> None:
        """Make the client of one record.

        Args:
            provider: The policies and targets of the record's route.
            model: The route's name; a target puts its own model in its place.
            deadline: The record's one deadline.
            prompt: What `generate` renders.
            task: The record's ``type`` and fields, for the ``offline`` provider alone.
        """
        self._provider = provider
        self._model = model
        self._deadline = deadline
        self._prompt = prompt
        self._task = task or {}
        self._usage = Usage()
        self._attempts = 0
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
        messages = self._prompt.render(variables)
        return await self.chat(messages, parameters=self._prompt.parameters, schema=schema)

    async def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        parameters: Mapping[str, Any] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> Any:
        """Send OpenAI-shaped messages as they are; returns and raises as `generate`."""
        return await self._complete(
            Call(
                model=self._model,
                messages=messages,
                parameters=parameters or {},
                output_schema=schema,
                task=self._task,
                deadline=self._deadline,
            )
        )

    async def embed(self, inputs: Sequence[str]) -> list[list[float]]:
        """Return one vector per input, in their order; raises as `generate`."""
        vectors: list[list[float]] = await self._complete(
            Call(
                operation="embeddings",
                model=self._model,
                inputs=inputs,
                task=self._task,
                deadline=self._deadline,
            )
        )
        return vectors

    async def _complete(self, call: Call) -> Any:
        try:
            completion = await self._provider.complete(call)
        except Failure as failure:
            self._attempts += failure.attempts
            failure.attempts = self._attempts
            raise
        self._usage += completion.usage
        self._attempts += completion.attempts
        self._is_cached = self._is_cached and completion.cached
        self._last = completion
        return completion.output

    @property
    def usage(self) -> Usage:
        """Tokens of all calls."""
        return self._usage

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
        return self._last.model if self._last else self._model

    @property
    def finish_reason(self) -> str | None:
        """Why the last answer ended."""
        return self._last.finish_reason if self._last else None
