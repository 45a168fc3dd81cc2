"""The document and the code say the same of each body: neither is looser than the other."""

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from jsonschema import Draft202012Validator
from pydantic import BaseModel, create_model

from streamapp.cli.samples import samples
from streamapp.errors import StreamappError
from streamapp.processors.chat import Chat
from streamapp.processors.classify import Classify
from streamapp.processors.embed import Embed
from streamapp.processors.extract import Extract
from streamapp.processors.generate import Generate
from streamapp.processors.summarize import Summarize
from streamapp.processors.translate import Translate
from streamapp.records.request import Request
from streamapp.web.bodies import read
from streamapp.web.errors import Refusal
from streamapp.web.input_records import LAST_OFFSET, LAST_PARTITION, _number
from streamapp.web.openapi import ComponentSchemas, openapi
from streamapp.web.operations import OPERATIONS
from streamapp.web.operations.operation import RECORD
from streamapp.web.prompts import Shares, _parsed

pytestmark = pytest.mark.timeout(180)

RECORDS: Mapping[str, type[Request]] = {
    kind.record_type: kind
    for kind in (Chat, Classify, Embed, Extract, Generate, Summarize, Translate)
}
BODIES: Mapping[str, type[BaseModel]] = {
    op.path: op.body
    for under in OPERATIONS.values()
    for op in under
    if op.body not in (None, RECORD)
} | {f"/record/{type}": kind for type, kind in RECORDS.items()}
EACH_BODY = pytest.mark.parametrize("path", BODIES)


def with_records() -> Any:
    """Return the document, with a path for each record type besides."""
    document = openapi(OPERATIONS, records=RECORDS, has_keys=True)
    mapping = document["components"]["schemas"]["Record"]["discriminator"]["mapping"]
    for type, reference in mapping.items():
        document["paths"][f"/record/{type}"] = {"post": operation({"$ref": reference})}
    return document


def operation(schema: Any) -> Any:
    content = {"application/json": {"schema": schema}}
    return {
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "all"}},
    }


DOCUMENT = with_records()


def tried(document: Any, path: str, check: Callable[[Any], None], *, examples: int) -> None:
    """Call ``check`` with bodies that the document makes up, the same ones each time."""
    import schemathesis  # two seconds, which no process pays that runs other files

    (method,) = document["paths"][path]
    strategy = schemathesis.openapi.from_dict(document)[path][method.upper()].as_strategy(
        generation_mode=schemathesis.GenerationMode.POSITIVE
    )

    @seed(1)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(case: Any) -> None:
        if case.media_type in (None, "application/json"):
            check(case.body)

    each()


def taken(path: str, value: Any) -> None:
    """Read a body as its view does."""
    model = BODIES[path]
    if model is Shares:
        _parsed(model, json.dumps(value).encode())
        return
    if model is Generate and isinstance(value, dict):
        value = {"type": "generate", **value}  # its short form
    read(model, json.dumps(value).encode())


@EACH_BODY
def test_what_the_document_allows_is_taken(path: str) -> None:
    """Bodies that fit the document are none that the code refuses."""
    tried(DOCUMENT, path, lambda value: taken(path, value), examples=20)


def overridden() -> Mapping[str, type[BaseModel]]:
    """Return a model of each field whose schema is not made of its checks alone."""
    found: dict[str, type[BaseModel]] = {}
    for path, model in BODIES.items():
        for name, field in model.model_fields.items():
            one: Any = create_model("One", **{name: (field.annotation, field)})  # type: ignore[call-overload]
            schema = str(one.__pydantic_core_schema__)
            if "json_schema_input_schema" in schema or "'function-after'" in schema:
                found[f"{path}/{name}".replace("{", "").replace("}", "")] = one
    return found


OVERRIDDEN = overridden()


@pytest.mark.parametrize("path", OVERRIDDEN)
def test_item_counts_and_patterns_are_in_the_document(path: str) -> None:
    """A field with a schema of its own has in it what its checks demand; many are tried."""
    model = OVERRIDDEN[path]
    schemas = ComponentSchemas([(model, "validation")])
    document = {
        **{name: DOCUMENT[name] for name in ("openapi", "info")},
        "paths": {path: {"post": operation(schemas.of(model, "validation"))}},
        "components": {"schemas": schemas.components},
    }

    def check(value: Any) -> None:
        model.model_validate_json(json.dumps(value), strict=True)

    tried(document, path, check, examples=80)


SAMPLES = {sample["type"]: sample for sample in samples().values()}


@pytest.mark.parametrize(
    ("type", "change"),
    [
        ("chat", {"stop": ["a"] * 5}),
        ("chat", {"max_tokens": 0}),
        ("chat", {"max_tokens": 2**53 + 1}),
        ("chat", {"seed": 2**63}),
        ("chat", {"top_logprobs": 21}),
        ("chat", {"messages": []}),
        ("classify", {"labels": ["a"]}),
        ("classify", {"labels": ["a", "a"]}),
        ("embed", {"dimensions": 0}),
        ("embed", {"input": [2**31]}),
        ("generate", {"variables": {"a": {}}}),
        ("generate", {"variables": {"a": [[]]}}),
        ("summarize", {"max_words": 1.5}),
        ("summarize", {"cache_ttl_s": 0}),
    ],
    ids=str,
)
def test_what_the_code_refuses_does_not_fit(type: str, change: Any) -> None:
    """Bounds, exclusive ones and counts among them, stand in the document as well."""
    sample = {**SAMPLES[type], **change}
    reference = DOCUMENT["components"]["schemas"]["Record"]["discriminator"]["mapping"][type]
    schema = Draft202012Validator({"$ref": reference, "components": DOCUMENT["components"]})

    with pytest.raises((StreamappError, Refusal)):
        taken(f"/record/{type}", sample)
    assert schema.is_valid(SAMPLES[type])
    assert not schema.is_valid(sample)


THOUGHT = {"type": "reasoning", "summary": []}


@pytest.mark.parametrize(
    ("items", "is_allowed"),
    [
        ([THOUGHT], False),
        ([THOUGHT, THOUGHT], False),
        ([THOUGHT, {"role": "user", "content": "a"}], True),
        ([{"type": "function_call_output", "call_id": "c", "output": ""}, THOUGHT], True),
    ],
)
def test_reasoning_alone_does_not_fit(items: list[Any], is_allowed: bool) -> None:
    """Items of which one at least is no reasoning: the document asks for it as the code does."""
    content = DOCUMENT["paths"]["/v1/responses"]["post"]["requestBody"]["content"]
    schema = {**content["application/json"]["schema"], "components": DOCUMENT["components"]}

    assert Draft202012Validator(schema).is_valid({"input": items}) is is_allowed
    with nullcontext() if is_allowed else pytest.raises(Refusal, match="says nothing"):
        taken("/v1/responses", {"input": items})


@pytest.mark.parametrize(("name", "most"), [("partition", LAST_PARTITION), ("offset", LAST_OFFSET)])
def test_bounds_of_places_are_in_the_document(name: str, most: int) -> None:
    """A place that no topic has is none by the document, as it is none to the code."""
    path = "/v1/flows/{flow}/records/{partition}/{offset}"
    (found,) = (p for p in DOCUMENT["paths"][path]["get"]["parameters"] if p["name"] == name)
    schema = Draft202012Validator(found["schema"])

    assert found["required"]
    for number, is_allowed in ((0, True), (most, True), (most + 1, False), (-1, False)):
        assert schema.is_valid(number) is is_allowed
        with nullcontext() if is_allowed else pytest.raises(Refusal, match="a place is"):
            assert _number(str(number), most) == number


@pytest.mark.parametrize("number", [b"7.0", b"7", b"0.7e1"])
def test_whole_numbers_may_have_a_fraction_of_zero(number: bytes) -> None:
    """JSON has one kind of number: 7.0 is 7, in a field and in a list of tokens."""
    chat = b'{"type":"chat","messages":[{"role":"user","content":"a"}],"max_tokens":%b}' % number
    embed = b'{"type":"embed","input":[[1,%b]],"dimensions":%b}' % (number, number)

    assert repr(read(Chat, chat).max_tokens) == "7"
    assert repr(read(Embed, embed).input) == "[[1, 7]]"
    assert read(Embed, embed).dimensions == 7
