"""Typed tools: what the model is told of a coroutine, and what it may give it."""

from datetime import date
from enum import StrEnum
from math import nan
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from streamapp.errors import ConfigurationError, InternalError, RetriesExhausted, ToolError
from streamapp.llm.client import LLMClient
from streamapp.tools import Tool, tool
from tests.fakes import FakeProvider
from tests.unit.tools.agents import agent


class Speed(StrEnum):
    SLOW = "slow"
    FAST = "fast"


class Order(BaseModel):
    number: str
    due: date


@tool
async def order(
    number: Annotated[str, Field(min_length=2)], speed: Speed = Speed.SLOW, *, llm: LLMClient
) -> Order:
    """Look an order up.

    It must be one of this shop.

    Args:
        number: As on the
            invoice.
        speed: How fast.
        llm: Filled in.
    """
    assert isinstance(llm, LLMClient)
    return Order(number=f"{number} {speed.value}", due=date(2030, 1, 2))


@pytest.fixture
def client(llm: FakeProvider) -> LLMClient:
    """The client of a record."""
    return agent(llm)


def test_docstring_and_annotations_make_the_schema() -> None:
    """Name, text, types, defaults and what `Args:` says reach the model; the client does not."""
    assert order.name == "order"
    assert order.description == "Look an order up.\n\nIt must be one of this shop."
    assert order.schema["required"] == ["number"]
    assert order.schema["additionalProperties"] is False
    assert order.schema["properties"].keys() == {"number", "speed"}
    number = order.schema["properties"]["number"]
    assert (number["description"], number["minLength"]) == ("As on the invoice.", 2)
    assert order.schema["properties"]["speed"]["default"] == "slow"


async def test_arguments_are_validated_and_typed(client: LLMClient) -> None:
    """The coroutine gets values of its annotations, its result goes back as JSON."""
    text = await order.call({"number": "42", "speed": "fast"}, client)

    assert text == '{"number":"42 fast","due":"2030-01-02"}'


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "number: Field required"),
        ({"number": "1"}, "number: String should have at least 2"),
        ({"number": "42", "speed": "warp"}, "speed: Input should be 'slow' or 'fast'"),
        ({"number": "42", "more": 1}, "more: Extra inputs are not permitted"),
    ],
    ids=["missing", "wrong", "enum", "unknown"],
)
async def test_wrong_arguments_are_told(
    given: dict[str, Any], said: str, client: LLMClient
) -> None:
    """The model hears which argument is wrong, and why."""
    with pytest.raises(ToolError, match=said):
        await order.call(given, client)


async def test_any_parameter_name_will_do(client: LLMClient) -> None:
    """Names that pydantic's models keep to themselves are names of arguments, too."""

    @tool
    async def odd(schema: str, model_config: int, json: bool = True) -> str:
        """Join them."""
        return f"{schema} {model_config} {json}"

    assert await odd.call({"schema": "s", "model_config": 1}, client) == "s 1 True"


async def test_errors_are_of_three_kinds(client: LLMClient) -> None:
    """A `ToolError` and a failed call stay what they are; anything else is a bug of the tool."""

    @tool
    async def fails(how: str) -> str:
        """Fail."""
        kinds = {"tool": ToolError("sold out"), "call": RetriesExhausted("away")}
        raise kinds.get(how, ValueError("secret"))

    with pytest.raises(ToolError, match="sold out"):
        await fails.call({"how": "tool"}, client)
    with pytest.raises(RetriesExhausted):
        await fails.call({"how": "call"}, client)
    with pytest.raises(InternalError, match=r"fails raised ValueError$"):
        await fails.call({"how": "?"}, client)


async def test_a_result_that_is_no_json_is_a_bug(client: LLMClient) -> None:
    """Its type is not told to the model, and its content to nobody."""

    @tool
    async def odd() -> Any:
        """Return what JSON cannot carry."""
        return object()

    @tool
    async def no_number() -> dict[str, float]:
        """Return what would be written as null."""
        return {"score": nan}

    with pytest.raises(InternalError, match="returned what is not JSON"):
        await odd.call({}, client)
    with pytest.raises(InternalError, match="returned what is not JSON"):
        await no_number.call({}, client)


async def _positional(number: str, /) -> str:
    return number


async def _bare(number) -> str:  # type: ignore[no-untyped-def]  # what is refused
    return str(number)


async def _many(*numbers: str) -> str:
    return ""


async def _odd_type(number: "LLMClient | type[Any]", other: object = Field(1)) -> str:
    return ""


def _plain(number: str) -> str:
    return number


@pytest.mark.parametrize("run", [_positional, _bare, _many, _odd_type, _plain])
def test_what_cannot_be_a_tool_is_refused(run: Any) -> None:
    """At import, with the name of the coroutine."""
    with pytest.raises(ConfigurationError, match=run.__name__):
        tool(run)


@pytest.mark.parametrize("name", ["two words", "x" * 65, "", ".a", "a..b"])
def test_a_name_must_be_one_that_providers_take(name: str) -> None:
    """Else every call would be refused by them."""
    with pytest.raises(ConfigurationError, match=r"is no name|^tool"):
        tool(name=name or " ")(order.run)


async def test_a_tool_is_still_a_coroutine_function() -> None:
    """Code and tests call it as it is written."""

    @tool(name="shop.double", timeout_s=2)
    async def double(number: int) -> int:
        """Double it."""
        return number * 2

    assert isinstance(double, Tool)
    assert (double.name, double.timeout_s, await double(4)) == ("shop.double", 2, 8)
