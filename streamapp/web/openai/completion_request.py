"""The body of ``POST /v1/completions``, to ``chat`` records."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from streamapp.errors import InvalidRecord
from streamapp.llm.routing.routes import DEFAULT
from streamapp.processors.chat import SAMPLES_LIMIT, Chat
from streamapp.records.sampling import Bias, Stop, is_absent
from streamapp.records.whole import WHOLE, Int64, Positive
from streamapp.web.openai.cache_wish import CacheWish
from streamapp.web.openai.chat_request import RouteName, Samples, StreamOptions, seed_of
from streamapp.web.openai.fields import COMPLETIONS, only, refused

Prompt = Annotated[str, Field(min_length=1)]
_Prompts = Annotated[list[Prompt], Field(min_length=1, max_length=SAMPLES_LIMIT)]


def _as_prompts(value: Any) -> Any:
    tokens = value if isinstance(value, list) else ()
    if any(isinstance(one, (int, list)) for one in tokens):
        message = "is not supported as tokens: the providers of chats take text"
        raise PydanticCustomError("refused", message)
    return [value] if isinstance(value, str) else value


class CompletionRequest(BaseModel):
    """The body; what is null or empty is absent, and what is not listed is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: RouteName = DEFAULT
    prompt: Annotated[
        _Prompts, BeforeValidator(_as_prompts, json_schema_input_type=Prompt | _Prompts)
    ]
    best_of: only(1, COMPLETIONS["best_of"].why) = None  # type: ignore[valid-type]
    echo: bool | None = None
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    logit_bias: dict[str, Bias] | None = None
    logprobs: Annotated[int, Field(ge=0, le=5), WHOLE] | None = None
    max_tokens: Positive | None = None
    n: Samples | None = None
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    seed: Int64 | None = None
    stop: Stop | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: refused(COMPLETIONS["suffix"].why) = None  # type: ignore[valid-type]
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    user: str | None = Field(default=None, max_length=512)
    cache: bool | None = None

    @property
    def with_usage(self) -> bool:
        """Whether a stream tells the usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def echoed(self) -> list[str]:
        """Return what stands before the text of each choice."""
        return [prompt if self.echo else "" for prompt in self.prompt for _ in range(self.n or 1)]

    def records(self, wish: CacheWish, *, extra: Mapping[str, Any]) -> list[Chat]:
        """Return a ``chat`` record for each choice: the samples of one prompt after another.

        Args:
            wish: What the request's headers say of the cache.
            extra: Fields that only some providers know.

        Raises:
            InvalidRecord: There are too many choices.
        """
        samples = self.n or 1
        if len(self.prompt) * samples > SAMPLES_LIMIT:
            raise InvalidRecord(f"field 'n': at most {SAMPLES_LIMIT} answers over all prompts")
        is_repeatable = self.temperature == 0 or self.seed is not None
        is_shared, ttl_s = wish.decided(self.cache, is_repeatable=is_repeatable)
        asked = self._sampling()
        return [
            Chat(
                type=Chat.record_type,
                model=self.model,
                messages=[{"role": "user", "content": prompt}],
                stream=bool(self.stream),
                cache=is_shared,
                cache_ttl_s=ttl_s,
                extra_body=dict(extra) or None,
                sample=sample,
                seed=seed_of(self.seed, sample),
                **asked,
            )
            for prompt in self.prompt
            for sample in range(samples)
        ]

    def _sampling(self) -> dict[str, Any]:
        values = self.__dict__
        asked = {name: values[name] for name in _PASSED if not is_absent(values[name])}
        if self.logprobs is not None:
            asked["logprobs"] = True
            if self.logprobs:
                asked["top_logprobs"] = self.logprobs
        return asked


_PASSED = (
    *("frequency_penalty", "logit_bias", "max_tokens", "presence_penalty", "stop"),
    *("temperature", "top_p", "user"),
)
