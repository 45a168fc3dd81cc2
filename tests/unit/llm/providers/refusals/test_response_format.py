"""Refusals of a way of asking for JSON, in the words of many servers, and what is none."""

from typing import Any

import orjson
import pytest

from streamapp.errors import ParameterRefused, ProviderError
from streamapp.llm.attempt import ATTEMPT, Attempt
from streamapp.llm.providers.refusals.reading import error_for

#: The validators of servers in Python list their findings, as JSON or as text.
FOUND = {"type": "literal_error", "loc": ["body", "response_format", "type"], "msg": "no"}
WORDS = "[{'type': '%s', 'loc': ('body', %s), 'msg': '%s', 'input': {'response_format': 'x'}}]"
TEXT = "1 validation error for ChatCompletionRequest\n%s\n  %s [type=%s, input_value='x']"
LABELS = {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}


def said(message: str, **fields: Any) -> Any:
    return {"error": {"message": message, "type": "invalid_request_error", **fields}}


def named(body: Any, question: str = "hi", *, status: int = 400) -> tuple[str, ...]:
    """Return what an answer refuses of a request that asks ``question``."""
    attempt = Attempt()
    attempt.asked = ([{"role": "user", "content": question}], LABELS)
    token = ATTEMPT.set(attempt)
    try:
        error: ProviderError = error_for(status, {}, orjson.dumps(body), provider="p", now=0.0)
    finally:
        ATTEMPT.reset(token)
    return error.parameters if isinstance(error, ParameterRefused) else ()


@pytest.mark.parametrize(
    "body",
    [
        said("response_format.type: Input should be 'text' or 'json_object'"),
        said("response_format type json_schema is not supported", param="response_format"),
        said("Unsupported response_format", param="response_format"),
        said("Unsupported format", param="response_format"),
        said("json_schema is not supported by this model"),
        said("unknown field response_format"),
        said('json: unknown field "response_format"'),
        said("Unrecognized request argument supplied: response_format"),
        said("Unrecognized request arguments supplied: responseFormat"),
        said("json_object response format is not supported for model: m"),
        said("response_format is only supported on m-2"),
        said("This model does not support structured outputs."),
        said("Structured output is not supported with this model"),
        said("Guided decoding is not enabled on this server"),
        said("Unsupported parameter: text.format"),
        said("JSON schema is not supported"),
        said("response_format: Extra inputs are not permitted"),
        said("Malformed input: #: extraneous key [response_format] is not permitted, reformat"),
        said("litellm.UnsupportedParamsError: p does not support parameters: ['response_format']"),
        {"detail": [FOUND | {"msg": "Input should be 'text' or 'json_object'"}]},
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "response_format"], "msg": "no"}]},
        {"detail": [{"type": "value_error.extra", "loc": ["response_format"], "msg": "no"}]},
        said(WORDS % ("extra_forbidden", "'response_format'", "Extra inputs are not permitted")),
        said(WORDS % ("literal_error", "'response_format', 'type'", "Input should be 'text'")),
        said(TEXT % ("response_format", "Extra inputs are not permitted", "extra_forbidden")),
        said(TEXT % ("response_format.type", "Input should be 'text'", "literal_error")),
        said("1 validation error\nbody -> response_format\n  extra fields not permitted (type=x)"),
        {"error": "response_format is not supported"},
    ],
    ids=str,
)
def test_refusal_of_the_way_holds_for_every_schema(body: Any) -> None:
    """Whatever says so: the target is asked in another way from then on."""
    assert named(body) == ("response_format",)
    assert named(body, status=422) == ("response_format",)


@pytest.mark.parametrize(
    "body",
    [
        said("Invalid schema for response_format 'answer': 'additionalProperties' is required"),
        said("JSON Schema not supported: could not understand the instance `{'required': []}`."),
        said("Unsupported keyword 'oneOf' in response_format", param="response_format"),
        said("response_format: the schema is nested too deep", param="response_format"),
        said("json_schema: property names must match ^[a-z]+$"),
        said("Invalid value for response_format", param="response_format"),
        said("no", param="response_format"),
        said("no", param="response_format.json_schema.schema"),
        said("Missing required parameter: 'response_format.json_schema'."),
        said("Extra inputs are not permitted, field: 'response_format.schema_field', value: None"),
        said("response_format is not supported together with tools"),
        said("json mode cannot be combined with tool/function calling"),
        said("response_format is not supported for streaming"),
        said(WORDS % ("extra_forbidden", "'response_format', 'json_schema', 'x'", "not permitted")),
        {"detail": [FOUND | {"loc": ["body", "response_format", "json_schema", "schema"]}]},
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "response_format", "json_schema", "strict"],
                    "msg": "Extra inputs are not permitted",
                }
            ]
        },
    ],
    ids=str,
)
def test_refusal_of_a_schema_is_of_that_one_alone(body: Any) -> None:
    """What it holds, what stands beside it, or what nobody can tell: others go on as they are."""
    assert named(body) == ("json_schema",)


@pytest.mark.parametrize(
    "body",
    [
        said("'messages' must contain the word 'json' to use 'response_format' of 'json_object'."),
        said("Prompt must contain the word 'json' to use 'response_format' of type 'json_object'."),
        said("Unsupported value for json_schema", param="messages.[0].content"),
        said("max_tokens must be larger for response_format json_schema"),
        said("response_format is not supported", param="max_tokens"),
        said("This model's maximum context length is 10; json_schema is not supported"),
        said("The model `m` does not exist; json_schema is not supported"),
        said("Your input was flagged by content policy for response_format"),
        said("Please write to our support of response_format"),
        said("Invalid request"),
        said(
            "Invalid schema for function 'x': schema must be a JSON Schema of 'type: \"object\"'.",
            param="tools[0].function.parameters",
            code="invalid_function_parameters",
        ),
        said("Invalid schema for function 'x': it must be a valid JSON schema"),
        said("tools.0.custom.input_schema: JSON schema is invalid. It must match draft 2020-12"),
        said("tool_choice is not supported with response_format json_schema"),
        said("messages.2.tool_calls.0.function.arguments: not a valid json object"),
        said("tools[0].function.parameters must be a valid json object"),
        said("messages.0.content: expected string, received json object; only text is supported"),
        said("Invalid JSON object", param="messages[1].content"),
        {"detail": [{"type": "missing", "loc": ["body", "x"], "msg": "no", "input": LABELS}]},
        said(WORDS % ("missing", "'messages', 0, 'content'", "Field required")),
        said(TEXT % ("messages.0.user", "Extra inputs are not permitted", "extra_forbidden")),
    ],
    ids=str,
)
def test_other_refusals_are_none_of_a_format(body: Any) -> None:
    """Another field, a length, a model, or what is quoted of the request."""
    assert not {"response_format", "json_schema"}.intersection(named(body))


@pytest.mark.parametrize(
    "frame", ["Invalid input: {}", "{}", "cannot read '{}'", "[{{'msg': '{}', 'input': 'x'}}]"]
)
@pytest.mark.parametrize(
    "question",
    ["Why is response_format not supported?", "json_schema: invalid", "Unsupported JSON mode"],
)
def test_words_of_the_record_refuse_nothing(frame: str, question: str) -> None:
    """A record about formats that is refused and quoted changes nothing for the others."""
    assert named(said(frame.format(question)), question) == ()
    assert named(said(frame.format(question))) != ()


@pytest.mark.parametrize(
    "question", ["Fill the JSON Schema.", "Answer with a json object, by response_format"]
)
@pytest.mark.parametrize(
    "message",
    [
        "JSON Schema not supported: could not understand the instance `{'required': ['x']}`.",
        "This model does not support a JSON schema",
        "response_format is not supported",
    ],
)
def test_name_that_the_record_says_too_refuses_its_schema_alone(
    question: str, message: str
) -> None:
    """Prompts speak of formats, the built-in ones as well; others go on as they are."""
    found = named(said(message), f"{question} response_format JSON schema")

    assert found == ("json_schema",)


@pytest.mark.parametrize("status", [401, 403, 413, 429, 500, 503])
def test_other_statuses_refuse_no_format(status: int) -> None:
    """A server that is down may name it as well."""
    assert named(said("json_schema is not supported"), status=status) == ()


@pytest.mark.parametrize(
    "body",
    [
        said("Validation error at #/stream_options: Extra inputs are not permitted"),
        said("body.stream_options: extra fields not permitted"),
        said(WORDS % ("extra_forbidden", "'stream_options'", "Extra inputs")),
        said(WORDS % ("value_error.extra", "'stream_options', 'x'", "extra")),
        said(TEXT % ("stream_options", "Extra inputs are not permitted", "x")),
        (
            said("1 validation error\nbody -> stream_options\n  extra fields not permitted"),
            "stream",
        ),
        said('json: unknown field "stream_options"'),
        said("unknown field `stream_options`, expected one of `model`, `messages`"),
        said("#: extraneous key [stream_options] is not permitted"),
        said("Extra inputs are not permitted, field: 'stream_options', value: x"),
        said("Unrecognized request argument supplied: stream_options"),
        {"detail": [{"type": "value_error.extra", "loc": ["body", "stream_options"]}]},
    ],
    ids=str,
)
def test_parameter_is_named_in_the_words_of_validators(body: Any) -> None:
    """What a server does not know is left out, however it says so."""
    assert named(body) == ("stream_options",)
