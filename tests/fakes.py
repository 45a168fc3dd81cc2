"""Fakes of our own ports, for tests that need no network."""

from collections import deque
from typing import Any

import orjson

from streamapp.llm.chunks import CallDelta, give_whole
from streamapp.llm.completion import Call, Completion
from streamapp.llm.schemas.instance import instance_of
from streamapp.records.response import Usage


class FakeClock:
    """A clock that moves only when told to; sleeping on it takes no time."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)


class FakeProvider:
    """Answers with what was enqueued, in order; then with a good answer of the call's shape.

    ``history`` holds the calls as they came.
    """

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.history: list[Call] = []
        self.is_closed = False
        self._queue: deque[Completion | str | Exception] = deque()

    def enqueue(self, *outcomes: Completion | str | Exception) -> None:
        """Add completions, texts to answer, or errors to raise."""
        self._queue.extend(outcomes)

    async def complete(self, call: Call) -> Completion:
        self.history.append(call)
        outcome = self._queue.popleft() if self._queue else _good(call)
        if isinstance(outcome, Exception):
            raise outcome
        if call.chunks and call.operation == "chat":
            text = outcome.output if isinstance(outcome, Completion) else outcome
            await give_whole(call.chunks, text)
        if isinstance(outcome, Completion):
            return outcome
        return Completion(
            output=outcome,
            model=call.model,
            provider=self.name,
            usage=Usage(input_tokens=3, output_tokens=2),
        )

    async def aclose(self) -> None:
        self.is_closed = True


def _good(call: Call) -> Any:
    if call.operation == "embeddings":
        return [[float(len(text)), 1.0] for text in call.inputs]
    if call.output_schema is not None:
        return orjson.dumps(instance_of(call.output_schema)).decode()
    return f"answer to: {call.messages[-1]['content']}"


class TakenChunks:
    """Takes a streamed answer, or fails to; keeps the texts of the last attempt."""

    def __init__(self, *, error: Exception | None = None) -> None:
        self.is_open = True
        self.begun = self.retracted = 0
        self.texts: list[str] = []
        self.calls: list[CallDelta] = []
        self.is_cached = False
        self._error = error

    async def begin(self, *, is_cached: bool = False) -> None:
        self.begun += 1
        self.is_cached = is_cached
        self.texts.clear()
        self.calls.clear()

    async def add(self, text: str) -> None:
        if self._error:
            raise self._error
        self.texts.append(text)

    async def retract(self) -> None:
        self.retracted += 1
        self.texts.clear()

    async def add_call(self, delta: CallDelta) -> None:
        self.calls.append(delta)
