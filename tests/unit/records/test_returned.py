"""What code of users returns, as JSON."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, TypeAdapter
from typing_extensions import TypedDict

from streamapp.records.returned import as_json, as_values

INF = float("inf")


class Said(BaseModel):
    """One that writes infinity as a text."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    x: float


class Named(BaseModel):
    """One whose field has another name elsewhere."""

    x: float
    n: int | None = None
    y: str = Field("1", serialization_alias="YY")


class Written(TypedDict):
    """One that its annotation alone can write."""

    x: Annotated[bytes, PlainSerializer(lambda data: data.hex())]
    n: str | None


@pytest.mark.parametrize(
    ("value", "values"),
    [
        (Named(x=1), {"x": 1.0, "n": None, "y": "1"}),
        ([{1: Named(x=1)}], [{"1": {"x": 1.0, "n": None, "y": "1"}}]),
        (Said(x=INF), {"x": "Infinity"}),
        ((1, None, "NaN"), [1, None, "NaN"]),
    ],
    ids=["field names", "within others", "infinity as a text", "plain"],
)
def test_values_are_those_that_are_written(value: Any, values: Any) -> None:
    """Fields by their names, and what a model writes in its own way as it does."""
    assert as_values(value) == values


@pytest.mark.parametrize("value", [INF, [INF], {"a": [None, INF]}, Named(x=INF), object()])
def test_what_is_no_json_is_refused(value: Any) -> None:
    """Also where it would be written as null."""
    with pytest.raises(ValueError, match=r"JSON|serialize"):
        as_values(value)


@pytest.mark.parametrize(
    ("annotation", "value", "data"),
    [
        (Written, {"x": b"\xff", "n": None}, b'{"x":"ff","n":null}'),
        (Said, Said(x=INF), b'{"x":"Infinity"}'),
        (Named, Named(x=1), b'{"x":1.0,"n":null,"y":"1"}'),
    ],
    ids=["by its annotation", "infinity as a text", "field names"],
)
def test_an_annotation_writes_as_it_does(annotation: Any, value: Any, data: bytes) -> None:
    """Whatever nobody else could write of it."""
    assert as_json(value, TypeAdapter(annotation)) == data


@pytest.mark.parametrize(
    ("annotation", "value"), [(Named, Named(x=INF)), (Any, Named(x=INF)), (list[float], [INF])]
)
def test_an_annotation_writes_no_number_as_null(annotation: Any, value: Any) -> None:
    """As where there is no annotation."""
    with pytest.raises(ValueError, match="NaN and infinity"):
        as_json(value, TypeAdapter(annotation))
