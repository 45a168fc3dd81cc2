"""The seven record types: which fields they take, what they ask, what they answer."""

import json
from typing import Any

import pytest

from streamapp.errors import InvalidRecord, OutputInvalid, PromptError
from streamapp.processors.router import Router
from streamapp.records.response import Response
from tests.fakes import FakeProvider

SCHEMA = {"properties": {"name": {"type": "string"}}, "required": ["name"]}


async def ask(router: Router, **fields: Any) -> Response:
    request = router.decode(json.dumps(fields).encode())
    return (await router.answer(request, id="r-1", key=None)).response


async def test_summarize_gives_the_model_text_and_length(router: Router, llm: FakeProvider) -> None:
    """The summary is the model's text; length and text are in the user's message."""
    llm.enqueue("short")

    response = await ask(router, type="summarize", text="long story", max_words=7)

    assert response.output == "short"
    system, user = llm.history[0].messages
    assert (system["role"], user["role"]) == ("system", "user")
    assert "at most 7 words" in user["content"]
    assert "<text>\nlong story\n</text>" in user["content"]


async def test_translate_gives_the_model_text_and_language(
    router: Router, llm: FakeProvider
) -> None:
    """The translation is the model's text."""
    llm.enqueue("bonjour")

    response = await ask(router, type="translate", text="hello", target_language="French")

    assert response.output == "bonjour"
    assert "<language>\nFrench\n</language>" in llm.history[0].messages[-1]["content"]


async def test_classify_answers_with_one_of_the_labels(router: Router, llm: FakeProvider) -> None:
    """A label that is not in the list is asked for again."""
    llm.enqueue('{"label": "other"}', '{"label": "R&D"}')

    response = await ask(router, type="classify", text="t", labels=["R&D", "sales"])

    assert response.output == {"label": "R&D"}
    assert response.attempts == 2
    assert '["R&D", "sales"]' in llm.history[0].messages[-1]["content"]


async def test_classify_without_a_fitting_label_is_output_invalid(
    router: Router, llm: FakeProvider
) -> None:
    """A model that insists on its own label ends as the dead letter of that kind."""
    llm.enqueue(*['{"label": "other"}'] * 3)

    with pytest.raises(OutputInvalid):
        await ask(router, type="classify", text="t", labels=["a", "b"])


async def test_extract_answers_with_an_object_of_the_schema(
    router: Router, llm: FakeProvider
) -> None:
    """The object is parsed and fits the record's schema, which the model has seen."""
    llm.enqueue('{"name": "Ada"}')

    response = await ask(router, type="extract", text="I am Ada", schema=SCHEMA)

    assert response.output == {"name": "Ada"}
    assert llm.history[0].output_schema == {"type": "object", **SCHEMA}
    assert json.dumps(SCHEMA["required"]) in llm.history[0].messages[-1]["content"]


@pytest.mark.parametrize(
    "schema",
    [{"type": "array"}, {"type": "object", "properties": []}, {"$ref": "http://127.0.0.1/x"}],
    ids=["array", "wrong", "fetch"],
)
async def test_extract_with_an_unusable_schema_is_invalid(
    router: Router, llm: FakeProvider, schema: dict[str, Any]
) -> None:
    """The record is refused before any call."""
    with pytest.raises(InvalidRecord, match="schema"):
        await ask(router, type="extract", text="t", schema=schema)

    assert llm.history == []


async def test_generate_fills_the_named_prompt(router: Router, llm: FakeProvider) -> None:
    """Any prompt of the registry, with the record's variables."""
    llm.enqueue("42")

    response = await ask(
        router, type="generate", prompt="answer", variables={"question": "Life?", "other": [1]}
    )

    assert response.output == "42"
    assert llm.history[0].messages[-1] == {"role": "user", "content": "Life?"}


async def test_generate_without_a_variable_is_a_prompt_error(
    router: Router, llm: FakeProvider
) -> None:
    """The message names the variable; nothing is sent."""
    with pytest.raises(PromptError, match="'question' is missing"):
        await ask(router, type="generate", prompt="answer", variables={"Question": "Life?"})

    assert llm.history == []


async def test_chat_sends_messages_and_parameters_as_they_are(
    router: Router, llm: FakeProvider
) -> None:
    """What is set goes to the provider, by OpenAI's names; what is not set is left out."""
    messages = [
        {"role": "system", "content": "be brief"},
        {
            "role": "user",
            "name": "ada",
            "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "https://example/x.png"}},
            ],
        },
    ]
    shape = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    llm.enqueue('{"a": 1}')

    response = await ask(
        router, type="chat", messages=messages, temperature=0, stop="x", response_format=shape
    )

    assert response.output == '{"a": 1}'
    assert response.prompt is None
    assert llm.history[0].messages == messages
    assert llm.history[0].parameters == {
        "temperature": 0.0,
        "stop": ["x"],
        "response_format": shape,
    }


@pytest.mark.parametrize(
    ("given", "sent"),
    [("one", ["one"]), (["one", "two"], ["one", "two"])],
    ids=["text", "list"],
)
async def test_embed_answers_with_a_vector_per_text(
    router: Router, llm: FakeProvider, given: Any, sent: list[str]
) -> None:
    """Text or list of texts: the output is a list of vectors, by the embeddings' own model."""
    response = await ask(router, type="embed", input=given)

    assert response.output == [[3.0, 1.0]] * len(sent)
    assert response.model == "e"
    assert list(llm.history[0].inputs) == sent


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"type": "summarize"}, "'text' is missing", id="summarize without text"),
        pytest.param({"type": "summarize", "text": ""}, "'text'", id="summarize nothing"),
        pytest.param(
            {"type": "summarize", "text": "t", "max_words": 0}, "'max_words'", id="no words"
        ),
        pytest.param({"type": "translate", "text": "t"}, "'target_language'", id="no language"),
        pytest.param({"type": "classify", "text": "t", "labels": ["a"]}, "'labels'", id="1 label"),
        pytest.param(
            {"type": "classify", "text": "t", "labels": ["a", "a"]}, "must differ", id="same labels"
        ),
        pytest.param({"type": "extract", "text": "t"}, "'schema' is missing", id="no schema"),
        pytest.param(
            {"type": "extract", "text": "t", "schema_": {}}, "'schema_' is unknown", id="our name"
        ),
        pytest.param({"type": "generate"}, "'prompt' is missing", id="generate without prompt"),
        pytest.param(
            {"type": "generate", "prompt": "answer", "variables": {"a": {"b": 1}}},
            "'variables.a'",
            id="nested variable",
        ),
        pytest.param(
            {"type": "generate", "prompt": "answer", "variables": {"a": None}},
            "'variables.a'",
            id="null variable",
        ),
        pytest.param({"type": "chat", "messages": []}, "'messages'", id="no messages"),
        pytest.param(
            {"type": "chat", "messages": [{"role": "nobody", "content": "x"}]},
            "'messages.0': must be an object whose 'role' is one of",
            id="role",
        ),
        pytest.param(
            {"type": "chat", "messages": [{"role": "user", "content": [{"type": "video"}]}]},
            "'messages.0.content.0' is of none",
            id="content part",
        ),
        pytest.param(
            {"type": "chat", "messages": [{"role": "user", "content": "x"}], "prompt": "answer"},
            "'prompt' does not belong",
            id="chat with prompt",
        ),
        pytest.param(
            {"type": "chat", "messages": [{"role": "user", "content": "x"}], "api_base": "x"},
            "'api_base' is unknown",
            id="base url",
        ),
        pytest.param({"type": "embed", "input": []}, "'input'", id="embed nothing"),
        pytest.param({"type": "embed", "input": ["a", ""]}, "'input.1'", id="embed empty text"),
        pytest.param(
            {"type": "embed", "input": "a", "prompt": "answer"}, "'prompt'", id="embed with prompt"
        ),
    ],
)
def test_a_record_of_the_wrong_shape_is_invalid(
    router: Router, fields: dict[str, Any], message: str
) -> None:
    """Each type takes its own fields and no others."""
    with pytest.raises(InvalidRecord, match=message):
        router.decode(json.dumps(fields).encode())
