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
    "tool_choice": Treatment("honoured", "`none`, `auto`, `required` or one function"),
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

COMPLETIONS: Mapping[str, Treatment] = {
    "prompt": Treatment("honoured", "a text or several, each as a user's turn; tokens are refused"),
    "model": Treatment("honoured", "a configured route"),
    **_SAMPLING,
    "n": Treatment("honoured", "as so many calls for each prompt"),
    "stream": PASSED,
    "stream_options": _STREAM_OPTIONS,
    "best_of": Treatment("honoured", "1 alone: answers are not compared"),
    "echo": Treatment("honoured", "`false` alone"),
    "logprobs": Treatment("refused", "models of today have no such shape; use chat completions"),
    "suffix": Treatment("refused", "a chat model does not fill in"),
}

RESPONSES: Mapping[str, Treatment] = {
    "input": Treatment("honoured", "a text or items: messages, function calls and their outputs"),
    "instructions": PASSED,
    "model": Treatment("honoured", "a configured route"),
    "temperature": PASSED,
    "top_p": PASSED,
    "top_logprobs": Treatment("refused", "log probabilities are not told here"),
    "max_output_tokens": PASSED,
    "tools": Treatment("honoured", "functions; others are refused: they run at OpenAI"),
    "tool_choice": Treatment("honoured", "`none`, `auto`, `required` or one function"),
    "parallel_tool_calls": PASSED,
    "text": Treatment("honoured", "`format` and `verbosity`"),
    "reasoning": Treatment("honoured", "`effort`; `summary` is dropped: no reasoning is shown"),
    "metadata": Treatment("honoured", "comes back; `tenant` in it names the tenant"),
    "prompt_cache_key": PASSED,
    "prompt_cache_retention": PASSED,
    "safety_identifier": PASSED,
    "service_tier": PASSED,
    "user": PASSED,
    "stream": PASSED,
    "stream_options": Treatment("dropped", "no stream is padded"),
    "store": Treatment("honoured", "`false` alone, as where it is left out: nothing is stored"),
    "truncation": Treatment("honoured", "`disabled` alone: no turn is left out"),
    "include": Treatment("dropped", "there is no reasoning to include"),
    "access_programs": Treatment("refused", "it is of OpenAI's accounts"),
    "background": Treatment("honoured", "`false` alone: nothing is stored"),
    "background_options": Treatment("refused", "nothing is stored here"),
    "context_management": Treatment("refused", "nothing is stored here"),
    "conversation": Treatment("refused", "nothing is stored here: send the turns"),
    "image": Treatment("refused", "answers are text"),
    "max_tool_calls": Treatment("refused", "tools run at the client"),
    "moderation": Treatment("refused", "nothing is moderated here"),
    "previous_response_id": Treatment("refused", "nothing is stored here: send the turns"),
    "prompt": Treatment("refused", "prompts are those of this registry: see `POST /v1/generate`"),
    "prompt_cache_options": Treatment("refused", "no provider but one knows it"),
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
