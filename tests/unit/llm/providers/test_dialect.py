"""What a target refuses of one record takes nothing from the others that it takes."""

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from streamapp.errors import ParameterRefused, ProviderRejected, ProviderUnavailable
from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers.dialect import Dialect
from streamapp.llm.providers.refusals.reading import error_for
from streamapp.records.response import Usage
from tests.fakes import TakenChunks
from tests.unit.llm.calls import chat
from tests.unit.llm.providers.vendors.shape import LABEL


def refusal(body: Any) -> ParameterRefused:
    error = error_for(400, CIMultiDict(), orjson.dumps(body), provider="p", now=0.0)
    assert isinstance(error, ParameterRefused)
    return error


def learned(body: Any, **sent: Any) -> Dialect:
    """Return a dialect after one record's parameters were refused."""
    dialect, call = Dialect("p/m"), chat(parameters=sent)
    assert dialect.learn(refusal(body), call, dialect.body(call))
    return dialect


def kept(dialect: Dialect, **parameters: Any) -> Mapping[str, Any]:
    body = dialect.body(chat(parameters=parameters))
    return {name: body[name] for name in parameters if name in body}


EFFORT = {
    "error": {
        "message": "Unsupported value: 'reasoning_effort' does not support 'none' with this model."
        " Supported values are: 'minimal', 'low', 'medium', and 'high'.",
        "param": "reasoning_effort",
        "code": "unsupported_value",
    }
}
TIER = {
    "error": {
        "message": "Unsupported value: 'flex' is not supported with the 'm' model.",
        "param": "service_tier",
        "code": "unsupported_value",
    }
}
BOTH = {
    "error": {
        "message": "`temperature` and `top_p` cannot both be specified for this model. Please use"
        " only one.",
        "type": "invalid_request_error",
    }
}
TWO_FAULTS = {
    "detail": [
        {"type": "less_than_equal", "loc": ["body", "temperature"], "msg": "at most 1.5"},
        {"type": "extra_forbidden", "loc": ["body", "store"], "msg": "Extra inputs"},
    ]
}


@pytest.mark.parametrize(
    ("body", "name", "value", "other"),
    [(EFFORT, "reasoning_effort", "none", "low"), (TIER, "service_tier", "flex", "default")],
    ids=["words", "code"],
)
def test_other_values_of_a_parameter_are_still_sent(
    body: Any, name: str, value: str, other: str
) -> None:
    """A value that is not taken is left out; the next record's own value is sent."""
    dialect = learned(body, **{name: value})

    assert kept(dialect, **{name: value}) == {}
    assert kept(dialect, **{name: other}) == {name: other}


def test_parameter_of_many_refused_values_is_left_out() -> None:
    """After some refused values another one is not tried: it costs a request each time."""
    dialect = Dialect("p/m")
    for number in range(5):
        call = chat(parameters={"reasoning_effort": f"v{number}"})
        assert dialect.learn(refusal(EFFORT), call, dialect.body(call))

    assert kept(dialect, reasoning_effort="low") == {}


def test_wanted_value_is_set_where_no_stream_is_asked_for() -> None:
    """Whatever the operator's own extra says; streams and embeddings are left as they are."""
    dialect = Dialect("mine/m", extra={"enable_thinking": True})
    call = chat()
    refusal = ParameterRefused("no", provider="mine")
    refusal.parameters, refusal.wanted = ("enable_thinking",), {"enable_thinking": False}

    assert dialect.learn(refusal, call, dialect.body(call))
    assert dialect.body(call)["enable_thinking"] is False
    assert dialect.body(chat(chunks=TakenChunks()))["enable_thinking"] is True
    assert not dialect.learn(refusal, call, dialect.body(call))


def test_parameter_is_left_out_only_beside_the_other() -> None:
    """Two that are not taken together are taken alone."""
    dialect = learned(BOTH, temperature=0.1, top_p=0.5)

    assert kept(dialect, temperature=0.1, top_p=0.5) == {"top_p": 0.5}
    assert kept(dialect, temperature=0.1) == {"temperature": 0.1}


def test_wrong_value_beside_an_unknown_parameter_is_the_records_own() -> None:
    """Of two faults in one answer only the parameter that is not known is learned."""
    dialect = learned(TWO_FAULTS, temperature=2, store=True)

    assert kept(dialect, temperature=0.1, store=True) == {"temperature": 0.1}


NO_FORMAT = {"error": {"message": "response_format type json_schema is not supported"}}
NO_SCHEMA = {"error": {"message": "Invalid value for response_format", "param": "response_format"}}
#: One that no strict form is made of.
LOOSE = {"type": "object", "properties": {"label": {}}}


def asked_for(dialect: Dialect, call: Call) -> str:
    return str(dialect.body(call).get("response_format", {}).get("type", "prompt"))


def test_way_that_is_refused_is_taken_for_no_schema() -> None:
    """Each refusal leads to the next weaker way, for all calls of the target."""
    dialect, call = Dialect("p/m"), chat(output_schema=LABEL)

    assert dialect.learn(refusal(NO_FORMAT), call, dialect.body(call))
    assert asked_for(dialect, chat(output_schema=LOOSE)) == "json_object"
    assert dialect.learn(refusal(NO_FORMAT), call, dialect.body(call))
    assert asked_for(dialect, chat(output_schema=LOOSE)) == "prompt"
    assert not dialect.learn(refusal(NO_FORMAT), call, dialect.body(call))


@pytest.mark.parametrize(
    ("call", "ways"),
    [
        (chat(output_schema=LABEL), ["json_schema", "json_object", "prompt"]),
        (chat(output_schema=LOOSE), ["json_object", "prompt"]),
        (chat(parameters={"response_format": {"type": "json_object"}}), ["prompt"]),
    ],
    ids=["strict", "loose", "own"],
)
def test_schema_that_is_refused_is_weakened_alone(call: Call, ways: list[str]) -> None:
    """Each step is another request; other schemas are asked for as before."""
    dialect = Dialect("p/m")

    for way in ways:
        assert dialect.learn(refusal(NO_SCHEMA), call, dialect.body(call))
        assert asked_for(dialect, call) == way
    assert not dialect.learn(refusal(NO_SCHEMA), call, dialect.body(call))
    assert asked_for(dialect, chat(output_schema={**LABEL, "title": "x"})) == "json_schema"


def test_way_of_one_record_is_weakened_alone() -> None:
    """A target that takes `json_schema` alone is asked by it, whatever a record asked for."""
    dialect = Dialect("p/m")
    own = chat(parameters={"response_format": {"type": "json_object"}})
    body = {"error": "'response_format.type' must be 'json_schema' or 'text'"}

    assert dialect.learn(refusal(body), own, dialect.body(own))
    assert asked_for(dialect, own) == "prompt"
    assert asked_for(dialect, chat(output_schema=LABEL)) == "json_schema"


def test_refusal_that_another_call_met_too_is_one_step() -> None:
    """Two calls at once find out the same."""
    dialect, call = Dialect("p/m"), chat(output_schema=LABEL)
    sent = dialect.body(call)

    for _ in range(2):
        assert dialect.learn(refusal(NO_FORMAT), call, sent)
    assert asked_for(dialect, call) == "json_object"


@pytest.mark.parametrize("body", [NO_FORMAT, NO_SCHEMA], ids=["way", "schema"])
def test_refusal_of_what_was_not_sent_teaches_nothing(body: Any) -> None:
    """The words of a call that asked for no JSON are about something else."""
    dialect, call = Dialect("p/m"), chat()

    assert not dialect.learn(refusal(body), call, dialect.body(call))
    assert asked_for(dialect, chat(output_schema=LABEL)) == "json_schema"


@pytest.mark.parametrize("said", [NO_FORMAT, NO_SCHEMA], ids=["way", "schema"])
async def test_way_that_was_not_at_fault_is_kept(said: Any) -> None:
    """Where the weaker ways are refused as well, others with the schema are asked as before."""
    dialect, ways = Dialect("p/m"), list[str]()

    async def refuse(call: Call, body: Mapping[str, Any]) -> Completion:
        ways.append(str(body.get("response_format", {}).get("type", "prompt")))
        raise refusal(said)

    with pytest.raises(ParameterRefused):
        await dialect.ask(chat(output_schema=LABEL), refuse)

    assert ways[0] == "json_schema"
    assert ways[-1] == "prompt"
    assert asked_for(dialect, chat(output_schema=LABEL)) == "json_schema"
    assert asked_for(dialect, chat(output_schema=LOOSE)) == "json_schema"


async def test_request_whose_answer_was_sent_is_not_made_again() -> None:
    """An error half way may read like a refusal: a second answer could not be sent."""
    dialect, chunks, asked = Dialect("p/m"), TakenChunks(), list[Call]()

    async def refuse(call: Call, body: Mapping[str, Any]) -> Completion:
        asked.append(call)
        chunks.is_open = False
        raise refusal(NO_FORMAT)

    with pytest.raises(ParameterRefused):
        await dialect.ask(chat(output_schema=LABEL, chunks=chunks), refuse)

    assert len(asked) == 1


async def test_way_that_is_taken_is_kept() -> None:
    """The next call begins with it."""
    dialect, answers = Dialect("p/m"), [refusal(NO_SCHEMA), refusal(NO_SCHEMA), None]
    done = Completion(output="{}", model="m", provider="p", usage=Usage())

    async def answer(call: Call, body: Mapping[str, Any]) -> Completion:
        if (error := answers.pop(0)) is not None:
            raise error
        return done

    assert await dialect.ask(chat(output_schema=LABEL), answer) is done
    assert asked_for(dialect, chat(output_schema=LABEL)) == "json_object"


@pytest.mark.parametrize("said", [NO_FORMAT, NO_SCHEMA], ids=["way", "schema"])
@pytest.mark.parametrize("seed", range(40))
async def test_calls_at_once_forget_what_was_not_at_fault(said: Any, seed: int) -> None:
    """Whichever ends first: none takes for the known way what another had tried."""
    dialect, rng = Dialect("p/m"), random.Random(seed)

    async def refuse(call: Call, body: Mapping[str, Any]) -> Completion:
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(0)
        if "response_format" in body:
            raise refusal(said)
        raise ProviderUnavailable("no", provider="p") if rng.random() < 0.3 else REJECTED

    calls = [dialect.ask(chat(output_schema=LABEL), refuse) for _ in range(3)]
    await asyncio.gather(*calls, return_exceptions=True)
    with pytest.raises(ProviderRejected):
        await dialect.ask(chat(output_schema=LABEL), _rejected)

    assert asked_for(dialect, chat(output_schema=LABEL)) == "json_schema"
    assert asked_for(dialect, chat(output_schema=LOOSE)) == "json_schema"


REJECTED = ProviderRejected("no", provider="p", status=400)


async def _rejected(call: Call, body: Mapping[str, Any]) -> Completion:
    raise REJECTED
