"""The fields of OpenAI's requests, and what becomes of each; docs/http.md shows the same tables."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from streamapp.records.sampling import is_absent


class Treatment(NamedTuple):
    """What becomes of a field; ``why`` says it of all that is not simply passed on."""

    how: Literal["honoured", "dropped", "refused"]
    why: str = ""


PASSED = Treatment("honoured")

_SAMPLING = {
    name: PASSED
    for name in (
        *("temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias"),
        *("max_tokens", "seed", "stop", "user"),
    )
}
_STREAM_OPTIONS = Treatment(
    "honoured", "`include_usage`; `include_obfuscation` is dropped: no stream is padded"
)

CHAT: Mapping[str, Treatment] = {
    "messages": Treatment(
        "honoured", "text, `image_url`, `input_audio`, `file` and `refusal` parts"
    ),
    "model": Treatment("honoured", "a configured route"),
    **_SAMPLING,
    "max_completion_tokens": PASSED,
    "logprobs": PASSED,
    "top_logprobs": PASSED,
    "n": Treatment("honoured", "as so many calls, each cached and billed as one"),
    "tools": Treatment(
        "honoured", "functions; `custom` tools are refused: not every vendor knows them"
    ),
    "tool_choice": Treatment(
        "honoured",
        "`none`, `auto`, `required`, one function, or `allowed_tools`: the others are not sent;"
        " `custom` is refused as the tools are",
    ),
    "parallel_tool_calls": PASSED,
    "functions": Treatment("honoured", "asked for as `tools`, answered as `function_call`"),
    "function_call": Treatment("honoured", "likewise"),
    "response_format": PASSED,
    "prediction": PASSED,
    "reasoning_effort": PASSED,
    "verbosity": PASSED,
    "service_tier": PASSED,
    "prompt_cache_key": PASSED,
    "prompt_cache_retention": PASSED,
    "safety_identifier": PASSED,
    "metadata": Treatment("honoured", "the record's; `tenant` in it names the tenant"),
    "modalities": Treatment("honoured", '`["text"]` alone: answers are text'),
    "store": Treatment("honoured", "`false` alone: nothing is stored here"),
    "stream": PASSED,
    "stream_options": _STREAM_OPTIONS,
    "audio": Treatment("refused", "answers are text"),
    "moderation": Treatment("refused", "nothing is moderated here"),
    "prompt_cache_options": Treatment("refused", "no provider but one knows it"),
    "web_search_options": Treatment("refused", "nothing is searched here; give the model a tool"),
}

EMBEDDINGS: Mapping[str, Treatment] = {
    "input": Treatment("honoured", "a text, its tokens, or several of either"),
    "model": Treatment("honoured", "a configured route"),
    "dimensions": PASSED,
    "encoding_format": PASSED,
    "user": PASSED,
}

#: By path; the order of the documentation.
FIELDS: Mapping[str, Mapping[str, Treatment]] = {
    "/v1/chat/completions": CHAT,
    "/v1/embeddings": EMBEDDINGS,
}

#: What a refused field may hold.
_ABSENT = {
    "anyOf": [
        {"type": "null"},
        {"type": "string", "maxLength": 0},
        {"type": "array", "maxItems": 0},
        {"type": "object", "maxProperties": 0},
    ]
}


def refused(why: str) -> Any:
    """Return the type of a field that must be absent, null or empty."""

    def check(value: Any) -> Any:
        if not is_absent(value):
            raise PydanticCustomError("refused", "is not supported: {why}", {"why": why})
        return None

    return Annotated[Any, BeforeValidator(check), WithJsonSchema(_ABSENT)]


def only(value: Any, why: str) -> Any:
    """Return the type of a field that may have one value, or be null."""

    def check(given: Any) -> Any:
        if given is not None and (given != value or type(given) is not type(value)):
            raise PydanticCustomError("refused", "is not supported: {why}", {"why": why})
        return given

    schema = {"anyOf": [{"const": value}, {"type": "null"}]}
    return Annotated[Any, BeforeValidator(check), WithJsonSchema(schema)]
