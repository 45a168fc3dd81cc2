"""The fields of OpenAI's requests, and what becomes of each; docs/http.md shows the same tables."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from streamapp.records.sampling import EMPTY_SCHEMAS, is_absent


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

COMPLETIONS: Mapping[str, Treatment] = {
    "prompt": Treatment(
        "honoured",
        "a text or several, each asked as a user's message of a chat; tokens are refused",
    ),
    "model": Treatment("honoured", "a configured route"),
    **{name: treatment for name, treatment in _SAMPLING.items() if name != "max_tokens"},
    "max_tokens": Treatment("honoured", "without it the provider's own, not 16"),
    "n": Treatment("honoured", "as so many calls, at most 128 over all prompts"),
    "echo": Treatment("honoured", "the prompt stands before the text"),
    "logprobs": PASSED,
    "best_of": Treatment("honoured", "1 alone: several answers are not weighed here; ask for `n`"),
    "stream": PASSED,
    "stream_options": _STREAM_OPTIONS,
    "suffix": Treatment("refused", "providers of chats insert nothing before a text"),
}

RESPONSES: Mapping[str, Treatment] = {
    "input": Treatment(
        "honoured",
        "a text, or items: messages (`input_text`, `input_image`, `input_file`, `input_audio`,"
        " `output_text`, `refusal`), `function_call`, `function_call_output`; `reasoning` is"
        " dropped, since no other model reads it, and refused alone; others are refused",
    ),
    "model": Treatment("honoured", "a configured route"),
    "instructions": PASSED,
    "temperature": PASSED,
    "top_p": PASSED,
    "top_logprobs": PASSED,
    "max_output_tokens": PASSED,
    "tools": Treatment("honoured", "functions; others run at one vendor alone, and are refused"),
    "tool_choice": Treatment(
        "honoured",
        "`none`, `auto`, `required`, one function, or `allowed_tools`: the others are not sent",
    ),
    "parallel_tool_calls": PASSED,
    "text": Treatment("honoured", "`format` and `verbosity`"),
    "reasoning": Treatment(
        "honoured", "`effort`; `summary` and `context` are dropped: thoughts are not told"
    ),
    "include": Treatment(
        "honoured",
        "`message.output_text.logprobs`; others are dropped: there is nothing of them to tell",
    ),
    "metadata": Treatment("honoured", "the record's; `tenant` in it names the tenant"),
    "prompt_cache_key": PASSED,
    "prompt_cache_retention": PASSED,
    "safety_identifier": PASSED,
    "service_tier": PASSED,
    "user": PASSED,
    "stream": PASSED,
    "stream_options": Treatment(
        "dropped", "it has `include_obfuscation` alone: no stream is padded"
    ),
    "max_tool_calls": Treatment("dropped", "it counts calls of the tools that are refused"),
    "store": Treatment("honoured", "`false` alone: nothing is stored here"),
    "background": Treatment("honoured", "`false` alone: `POST /v1/requests` answers later"),
    "truncation": Treatment("honoured", "`disabled` alone: nothing is cut from a conversation"),
    "previous_response_id": Treatment("refused", "nothing is stored here: send the items again"),
    "conversation": Treatment("refused", "nothing is stored here: send the items again"),
    "prompt": Treatment("refused", "`POST /v1/generate` renders the prompts of the registry"),
    "access_programs": Treatment("refused", "no provider but one knows it"),
    "background_options": Treatment("refused", "`POST /v1/requests` answers later"),
    "context_management": Treatment("refused", "nothing is cut from a conversation"),
    "image": Treatment("refused", "no provider but one knows it"),
    "moderation": Treatment("refused", "nothing is moderated here"),
    "prompt_cache_options": Treatment("refused", "no provider but one knows it"),
}

EMBEDDINGS: Mapping[str, Treatment] = {
    "input": Treatment("honoured", "a text, its tokens, or several of either"),
    "model": Treatment("honoured", "a configured route; `default` is `EMBED_MODEL`, where set"),
    "dimensions": PASSED,
    "encoding_format": PASSED,
    "user": PASSED,
}

#: By path; the order of the documentation.
FIELDS: Mapping[str, Mapping[str, Treatment]] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/responses": RESPONSES,
}

#: What a refused field may hold.
_ABSENT = {"anyOf": [{"type": "null"}, *EMPTY_SCHEMAS]}


def refused(why: str) -> Any:
    """Return the type of a field that must be absent, null or empty."""

    def check(value: Any) -> Any:
        if not is_absent(value):
            raise PydanticCustomError("refused", "is not supported: {why}", {"why": why})
        return None

    return Annotated[Any, BeforeValidator(check), WithJsonSchema(_ABSENT)]


def only(value: Any, why: str) -> Any:
    """Return the type of a field that may have one value, or be null or empty."""

    def check(given: Any) -> Any:
        if is_absent(given):
            return None
        if given != value or type(given) is not type(value):
            raise PydanticCustomError("refused", "is not supported: {why}", {"why": why})
        return given

    schema = {"anyOf": [{"const": value}, *_ABSENT["anyOf"]]}
    return Annotated[Any, BeforeValidator(check), WithJsonSchema(schema)]
