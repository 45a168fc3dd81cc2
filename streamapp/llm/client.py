"""The client that a processor calls: one per record, which sums up what its calls cost."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from streamapp.errors import PromptError
from streamapp.llm.client_parts import RenderedPrompt, ToolRunner
from streamapp.llm.completion import Call, EmbeddingInput
from streamapp.llm.durable.fingerprint import fingerprint_of, stable
from streamapp.llm.durable.results import StepResults
from streamapp.llm.durable.steps import Steps
from streamapp.llm.durable.tally import Tally
from streamapp.llm.provider import Completer
from streamapp.llm.record_calls import RecordCalls
from streamapp.records.response import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

P = ParamSpec("P")
S = TypeVar("S")


class LLMClient:
    """The model as one record sees it: its prompt, its route, its deadline.

    After the processor has run, the properties describe all calls together.

    Attributes:
        id: The record's.
        calls: What its calls are made by, one completion each.
        missing_tools: Names and patterns of tools that it was to have, and that no server has.
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
        tools: ToolRunner | None = None,
        openai: "Callable[[LLMClient], AsyncOpenAI] | None" = None,
    ) -> None:
        """Make the client of one record.

        Args:
            provider: The policies and targets of the record's route.
            call: What all calls of the record have in common; its model is the route's name.
            prompt: What `generate` renders.
            embedder: The default route for embeddings; ``provider`` where None.
            steps: Of the record; nothing is stored where None.
            id: The record's.
            tools: Runs the model with tools.
            openai: Makes OpenAI's own client of this one.
        """
        steps = steps or Steps(deadline=call.deadline)
        self.calls = RecordCalls(provider, call, steps, embedder=embedder)
        self.id = id
        self.missing_tools: set[str] = set()
        self._prompt = prompt
        self._tools = tools
        self._openai = openai

    async def generate(
        self,
        variables: Mapping[str, Any],
        *,
        schema: Mapping[str, Any] | None = None,
        tools: Sequence[Any] | None = None,
        max_steps: int | None = None,
        max_tool_calls: int | None = None,
    ) -> Any:
        """Render the record's prompt and return the answer.

        Args:
            variables: What the prompt's placeholders stand for.
            schema: JSON Schema in place of the prompt's own.
            tools: As of `chat`, in place of the prompt's own.
            max_steps: Likewise.
            max_tool_calls: Likewise.

        Returns:
            Text, or the parsed and valid value where there is a schema.

        Raises:
            PromptError: There is no prompt, or a variable is missing.
            Failure: No answer, or none that fits.
        """
        self.calls.steps.check()
        prompt = self._prompt
        if prompt is None:
            raise PromptError("this record type has no prompt")
        agent = prompt.agent
        return await self.chat(
            await prompt.messages(variables, embed=self.calls.vectors),
            parameters=prompt.parameters,
            schema=prompt.output_schema if schema is None else schema,
            tools=agent.tools if tools is None else tools,
            max_steps=max_steps or agent.max_steps,
            max_tool_calls=max_tool_calls or agent.max_tool_calls,
        )

    async def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        parameters: Mapping[str, Any] | None = None,
        schema: Mapping[str, Any] | None = None,
        sample: int = 0,
        tools: Sequence[Any] = (),
        max_steps: int | None = None,
        max_tool_calls: int | None = None,
    ) -> Any:
        """Send OpenAI-shaped messages as they are; returns and raises as `generate`.

        Args:
            messages: Turns, in order.
            parameters: By OpenAI's names.
            schema: JSON Schema of the answer.
            sample: Another answer to an equal question, for each number.
            tools: The model may call them, and is asked again with what they gave: ``@tool``
                coroutines, or names of known ones, ``shop.*`` for all that begin so.
            max_steps: Most calls of the model for the answer, 8 where None.
            max_tool_calls: Most calls of tools for the answer, 32 where None.

        Raises:
            StepLimit: There was no answer within these bounds.
        """
        if tools and self._tools is not None:
            self.calls.steps.check()
            answer = await self._tools.answer(
                self,
                messages,
                tools=tools,
                max_steps=max_steps,
                max_tool_calls=max_tool_calls,
                parameters=parameters or {},
                schema=schema,
            )
            await self.calls.give(answer)
            return answer
        completion = await self.calls.complete(
            messages, parameters=parameters, schema=schema, sample=sample
        )
        return completion.output

    async def embed(
        self, inputs: Sequence[EmbeddingInput], *, parameters: Mapping[str, Any] | None = None
    ) -> list[list[float]]:
        """Return one vector per input, in their order; raises as `generate`.

        Args:
            inputs: Texts, or the numbers of their tokens.
            parameters: By OpenAI's names, such as ``dimensions``.
        """
        completion = await self.calls.embed(inputs, parameters=parameters)
        vectors: list[list[float]] = completion.output
        return vectors

    async def step(
        self, name: str, make: Callable[P, Awaitable[S]], *args: P.args, **kwargs: P.kwargs
    ) -> S:
        """Return what ``make`` gives, and on a redelivery of the record what it gave before.

        Args:
            name: Of the step, unchanged by what it is given.
            make: Any coroutine function; its result is what its JSON is read back as, by the
                return annotation where there is one: the same at once and on a redelivery.
            args: For it; they belong to what is asked, as far as they are JSON.
            kwargs: Likewise.

        Raises:
            TooLarge: The result does not fit into a record.
            InternalError: It is not what the annotation says, or no JSON.
            Exception: As of ``make``; what failed is not stored.
        """
        results = StepResults(make)

        async def made() -> bytes:
            return results.encode(await make(*args, **kwargs))

        stored = await self.calls.steps.run(
            "step",
            lambda: fingerprint_of(name, stable(args), stable(kwargs)),
            made,
            encode=bytes,
            decode=bytes,
            name=name,
        )
        return results.decode(stored)

    def idempotency_key(self, name: str) -> str:
        """Return a key for what must not happen twice outside: equal on every redelivery.

        Args:
            name: Of what is done; another one for each thing that the record does.
        """
        return fingerprint_of(self.id, name)

    @property
    def tally(self) -> Tally:
        """What all calls together came to."""
        return self.calls.steps.tally

    @property
    def usage(self) -> Usage:
        """Tokens of all calls."""
        return self.tally.usage

    @property
    def cost_usd(self) -> Decimal | None:
        """US dollars of all calls; None where the price of one is unknown."""
        return self.tally.cost_usd

    @property
    def attempts(self) -> int:
        """Provider attempts of all calls, failed ones included."""
        return self.tally.attempts

    @property
    def provider(self) -> str:
        """Name of the provider that answered last; empty without a call."""
        return self.tally.last.provider if self.tally.last else ""

    @property
    def model(self) -> str:
        """The model that answered last; the route's name without a call."""
        return self.tally.last.model if self.tally.last else self.calls.common.model

    def openai(self) -> "AsyncOpenAI":
        """Return OpenAI's own client, whose calls are made as `chat` makes them, by no socket.

        Raises:
            RuntimeError: This client was made without it.
        """
        if self._openai is None:
            raise RuntimeError("this client was made without OpenAI's own")
        return self._openai(self)
