"""The calls of one record: each a step, summed up with the others, under one deadline."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from streamapp.errors import Failure
from streamapp.llm.chunks import ChunkSink, give_whole
from streamapp.llm.completion import Call, Completion, EmbeddingInput
from streamapp.llm.durable.results import decode_completion, encode_completion, fingerprint_of_call
from streamapp.llm.durable.steps import Steps
from streamapp.llm.provider import Completer


class RecordCalls:
    """Makes the calls of one record.

    Args:
        provider: The policies and targets of the record's route.
        common: What all calls have in common; an attribute, too.
        steps: Of the record; an attribute, too.
        embedder: The default route for embeddings; ``provider`` where None.
    """

    def __init__(
        self, provider: Completer, common: Call, steps: Steps, *, embedder: Completer | None = None
    ) -> None:
        self._provider = provider
        self._embedder = embedder or provider
        self.common = common.but(place=steps.place)
        self.steps = steps
        self._is_streaming = False

    async def complete(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        parameters: Mapping[str, Any] | None = None,
        schema: Mapping[str, Any] | None = None,
        sample: int = 0,
        tools: Sequence[Mapping[str, Any]] = (),
        is_streamed: bool = True,
        model: str | None = None,
        provider: Completer | None = None,
    ) -> Completion:
        """Return the whole completion of one call; raises a `Failure` without one.

        Args:
            messages: Turns, in order.
            parameters: By OpenAI's names.
            schema: JSON Schema of the answer.
            sample: Another answer to an equal question, for each number.
            tools: What the model may call besides those of ``parameters``. They may have changed
                on a redelivery, as servers come and go, and make no other question of it.
            is_streamed: Whether its text is given to who takes the record's answer as it comes,
                where no other call's is being given.
            model: Name of a route in place of the record's.
            provider: What answers the calls of that route.
        """
        chunks = self._taker() if is_streamed else None
        call = self.common.but(
            messages=messages,
            parameters=parameters or {},
            output_schema=schema,
            sample=sample,
            model=model or self.common.model,
            chunks=chunks,
        )
        asked = call
        if tools:
            call = call.but(parameters={**call.parameters, "tools": tools})
        if chunks is None:
            return await self._complete(call, provider, asked=asked)
        self._is_streaming = True
        try:
            return await self._complete(call, provider, asked=asked)
        finally:
            self._is_streaming = False

    async def give(self, answer: Any) -> None:
        """Give an answer that several calls led to, whole, to who takes the record's."""
        if (chunks := self._taker()) is not None:
            await give_whole(chunks, answer)

    def _taker(self) -> ChunkSink | None:
        """Return who takes the text of what begins now; None where it would spoil another's.

        What a tool or another step asks is no part of the record's answer.
        """
        chunks = self.common.chunks
        if chunks is None or self._is_streaming or not chunks.is_open:
            return None
        return None if self.steps.scope.is_within_step else chunks

    async def embed(
        self,
        inputs: Sequence[EmbeddingInput],
        *,
        parameters: Mapping[str, Any] | None = None,
        model: str | None = None,
        provider: Completer | None = None,
    ) -> Completion:
        """Return the vectors of texts or tokens as a completion; the rest as of `complete`."""
        call = self.common.but(
            operation="embeddings",
            inputs=inputs,
            parameters=parameters or {},
            model=model or self.common.model,
            chunks=None,
        )
        return await self._complete(call, provider)

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """Return vectors for the prompt's own use."""
        call = replace(self.common, operation="embeddings", inputs=texts, chunks=None)
        vectors: list[list[float]] = (await self._complete(call, self._embedder)).output
        return vectors

    async def _complete(
        self, call: Call, provider: Completer | None = None, *, asked: Call | None = None
    ) -> Completion:
        completer = provider or self._provider
        if not (self.steps.tally.is_cached and self.steps.scope.tally.is_cached):
            call.place.paid()  # by a step that an older version stored, without the place

        async def make() -> Completion:
            completion = await completer.complete(call)
            if not completion.cached:
                call.place.paid()  # before it is stored, with the place
            return completion

        try:
            completion = await self.steps.run(
                "model",
                lambda: fingerprint_of_call(asked or call),
                make,
                encode=encode_completion,
                decode=decode_completion,
                name=call.model,
            )
        except Failure as failure:
            tally = self.steps.scope.tally
            tally.attempts += failure.attempts
            failure.attempts = tally.attempts
            raise
        self.steps.scope.tally.add(completion)
        return completion
