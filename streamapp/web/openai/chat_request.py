"""The body of ``POST /v1/chat/completions``, to ``chat`` records."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from streamapp.llm.routing.routes import DEFAULT
from streamapp.processors.chat import SAMPLES_LIMIT, Chat, ChatOptions
from streamapp.records.conversation import ChatMessage
from streamapp.records.sampling import EMPTY_IS_ABSENT, EmptyIs, Sampling
from streamapp.records.tools import TOOLS_LIMIT, Function, NamedFunction
from streamapp.records.whole import WHOLE
from streamapp.web.openai.cache_wish import CacheWish
from streamapp.web.openai.fields import CHAT, only, refused

ModelName = Annotated[str, Field(min_length=1, max_length=200)]
#: The route that is named, or the default one.
RouteName = Annotated[ModelName, EmptyIs(DEFAULT)]

#: How many answers to one question.
Samples = Annotated[int, Field(ge=1, le=SAMPLES_LIMIT), WHOLE]


class StreamOptions(BaseModel):
    """What a stream holds besides the text."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatCompletionRequest(Sampling, ChatOptions):
    """The body; what is null or empty is absent, and what is not listed is refused by name."""

    model: RouteName = DEFAULT
    messages: list[ChatMessage] = Field(min_length=1, fail_fast=True)
    n: Samples | None = None
    functions: Annotated[list[Function], Field(max_length=TOOLS_LIMIT)] | None = None
    function_call: Annotated[Literal["none", "auto"] | NamedFunction | None, EMPTY_IS_ABSENT] = None
    metadata: dict[str, str] | None = None
    modalities: list[Literal["text"]] | None = None
    store: only(False, "nothing is stored here: send false, or leave it out") = None  # type: ignore[valid-type]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    cache: bool | None = None
    audio: refused(CHAT["audio"].why) = None  # type: ignore[valid-type]
    moderation: refused(CHAT["moderation"].why) = None  # type: ignore[valid-type]
    prompt_cache_options: refused(CHAT["prompt_cache_options"].why) = None  # type: ignore[valid-type]
    web_search_options: refused(CHAT["web_search_options"].why) = None  # type: ignore[valid-type]

    @property
    def with_usage(self) -> bool:
        """Whether a stream tells the usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def has_functions(self) -> bool:
        """Whether it asks by OpenAI's older shape, and is answered by it."""
        return bool(self.functions) and not self.tools

    def records(self, wish: CacheWish, *, extra: Mapping[str, Any]) -> list[Chat]:
        """Return the ``chat`` records that ask for the same, one for each sample.

        Args:
            wish: What the request's headers say of the cache.
            extra: Fields that only some providers know.
        """
        is_repeatable = self.temperature == 0 or self.seed is not None
        is_shared, ttl_s = wish.decided(self.cache, is_repeatable=is_repeatable)
        record = Chat(
            type=Chat.record_type,
            model=self.model,
            messages=with_tool_turns(self.messages),
            metadata=self.metadata or {},
            stream=bool(self.stream),
            cache=is_shared,
            cache_ttl_s=ttl_s,
            extra_body=dict(extra) or None,
            **self.sampling(),
            **self._asked(),
        )
        return [
            record,
            *(
                record.model_copy(update={"sample": sample, "seed": seed_of(self.seed, sample)})
                for sample in range(1, self.n or 1)
            ),
        ]

    def _asked(self) -> dict[str, Any]:
        asked = self.options()
        if self.has_functions:
            asked["tools"] = [{"type": "function", "function": one} for one in self.functions or ()]
            choice = self.function_call
            if isinstance(choice, dict):
                asked["tool_choice"] = {"type": "function", "function": choice}
            elif choice is not None:
                asked["tool_choice"] = choice
        return asked


def seed_of(seed: int | None, sample: int) -> int | None:
    """Return a seed of each sample's own, of 64 bits: with the same one they would be the same."""
    return None if seed is None else (seed + sample + 2**63) % 2**64 - 2**63


def with_tool_turns(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the turns with calls of functions as calls of tools, each with an id."""
    if not any(m["role"] == "function" or "function_call" in m for m in messages):
        return list(messages)
    turns: list[Any] = []
    called = 0
    for message in cast("Sequence[dict[str, Any]]", messages):
        if call := message.get("function_call"):
            called += 1
            rest = {name: value for name, value in message.items() if name != "function_call"}
            calls = [{"id": f"call_{called}", "type": "function", "function": call}]
            turns.append({**rest, "tool_calls": [*message.get("tool_calls", ()), *calls]})
        elif message["role"] == "function":
            content = message["content"]
            turns.append({"role": "tool", "tool_call_id": f"call_{called}", "content": content})
        else:
            turns.append(message)
    return turns
