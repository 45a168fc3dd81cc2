"""Schemas from records: what is refused, what is validated, and at which cost."""

import itertools
from typing import Any

import pytest

from streamapp.errors import InvalidRecord
from streamapp.llm.schemas.schema import MAX_SCHEMA_BYTES, Schemas
from tests.unit.llm.calls import LABELS


def of(rules: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": rules}}


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"CANARY": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "CANARY"}, id="no-type"),
        pytest.param({"properties": ["CANARY"]}, id="no-properties"),
        pytest.param(of({"$ref": "http://CANARY/schema.json"}), id="remote-ref"),
        pytest.param(of({"$dynamicRef": "#CANARY"}), id="dynamic-ref"),
        pytest.param(of({"$schema": "http://json-schema.org/draft-04/schema#"}), id="draft"),
        pytest.param(of({"patternProperties": {"(CANARY+)+": {}}}), id="pattern-properties"),
        pytest.param(of({"pattern": "(CANARY"}), id="no-pattern"),
        pytest.param(of({"enum": ["CANARY" * MAX_SCHEMA_BYTES]}), id="too-long"),
        pytest.param(of({"const": object()}), id="no-json"),
        pytest.param(deep(200), id="too-deep"),
    ],
)
def test_bad_schema_is_refused_without_its_content(schema: dict[str, Any]) -> None:
    """A schema that cannot be used is an invalid record; the message holds nothing of it."""
    with pytest.raises(InvalidRecord, match="schema ") as caught:
        Schemas().check(schema)

    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "good", "bad"),
    [
        ({"type": "integer", "minimum": 1}, 1, 0),
        ({"enum": ["x", "y"]}, "y", "z"),
        ({"pattern": "^[a-z]+$"}, "abc", "ABC"),
        ({"pattern": "b"}, "abc", "ac"),
        ({"uniqueItems": True}, [{"x": 1, "y": 2}, {"y": 1, "x": 2}], [{"x": 1}, {"x": 1}]),
        ({"$ref": "#/$defs/t"}, "text", 1),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, 1),
    ],
)
def test_instances_are_judged(rules: dict[str, Any], good: Any, bad: Any) -> None:
    """What fits has no mismatch; what does not has one that says why."""
    schemas = Schemas()
    schema = {**of(rules), "$defs": {"t": {"type": "string"}}}

    assert schemas.mismatch(schema, {"a": good}) is None
    mismatch = schemas.mismatch(schema, {"a": bad})
    assert mismatch is not None
    assert mismatch.message


def test_draft_of_the_top_is_ignored() -> None:
    """A schema that names a draft at its top is judged by ours, with our limits."""
    schema = {**of({"pattern": "^a+$"}), "$schema": "http://json-schema.org/draft-07/schema#"}

    assert Schemas().mismatch(schema, {"a": "b"}) is not None


def test_reference_to_nothing_is_refused() -> None:
    """A local reference that names nothing is an invalid record, not a crash."""
    with pytest.raises(InvalidRecord, match="to nothing"):
        Schemas().mismatch(of({"$ref": "#/$defs/none"}), {"a": 1})


def test_endless_reference_is_refused() -> None:
    """A schema that refers to itself without end is an invalid record, not a crash."""
    with pytest.raises(InvalidRecord, match="too costly"):
        Schemas().mismatch({"$ref": "#"}, {})


def test_evil_pattern_takes_linear_time() -> None:
    """A pattern that would take a backtracking engine for ever is judged at once."""
    assert Schemas().mismatch(of({"pattern": "(a+)+$"}), {"a": "a" * 50_000 + "b"}) is not None


def test_validation_stops_at_its_cost() -> None:
    """A validation past its CPU time is given up; the next one starts afresh."""
    ticks = itertools.count()
    schemas = Schemas(max_cpu_s=20, cpu_s=lambda: float(next(ticks)))
    schema = of({"items": {"type": "integer"}})

    with pytest.raises(InvalidRecord, match="too costly"):
        schemas.mismatch(schema, {"a": list(range(100))})

    assert schemas.mismatch(schema, {"a": [1]}) is None


def test_many_schemas_keep_working() -> None:
    """Old schemas fall out of the bounded store and are simply compiled again."""
    schemas = Schemas()
    for number in range(300):
        schemas.check(of({"const": number}))

    assert schemas.mismatch(LABELS, {"label": "good"}) is None
    assert schemas.mismatch(of({"const": 0}), {"a": 0}) is None


def test_place_of_a_mistake_is_named_without_a_value() -> None:
    """A large schema is not searched by hand."""
    schema = {"type": "object", "properties": {"total": {"type": "CANARY"}}}

    with pytest.raises(InvalidRecord, match=r"see 'properties\.total\.type' in it") as caught:
        Schemas().check(schema)

    assert "CANARY" not in str(caught.value)
