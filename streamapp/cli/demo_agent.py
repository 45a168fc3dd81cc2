"""The demo's agent: a record type whose model may call two tools."""

from datetime import date
from typing import Any

from pydantic import BaseModel, Field

from streamapp.llm.client import LLMClient
from streamapp.processors import processor
from streamapp.records.request import Request
from streamapp.tools import ToolError, tool

#: One record of it.
SAMPLE = {
    "type": "demo-agent",
    "question": "When does my parcel come? Its number is 4711, and the country is Austria.",
}


class Agent(Request, type="demo-agent"):
    """A customer's question."""

    question: str = Field(min_length=1)


class OrderStatus(BaseModel):
    """What the demo's shop knows of an order."""

    number: str
    state: str
    due: date


_ORDERS = {"4711": OrderStatus(number="4711", state="on its way", due=date(2030, 1, 2))}
_HOLIDAYS = {"Austria": [date(2030, 1, 6)], "Germany": [date(2030, 1, 1)]}


@tool
async def order_status(number: str) -> OrderStatus:
    """Look an order up by its number.

    Args:
        number: As on the invoice, digits only.
    """
    if number not in _ORDERS:
        raise ToolError("there is no such order; ask the customer for the number")
    return _ORDERS[number]


@tool
async def public_holidays(country: str) -> list[date]:
    """Return the next days on which no parcel comes.

    Args:
        country: Its English name.
    """
    if country not in _HOLIDAYS:
        raise ToolError(f"only these are known: {', '.join(_HOLIDAYS)}")
    return _HOLIDAYS[country]


@processor(Agent)
async def agent(request: Agent, llm: LLMClient) -> Any:
    """Let the model look things up until it can answer."""
    turns = [
        {"role": "system", "content": "You answer customers of a shop. Look things up first."},
        {"role": "user", "content": request.question},
    ]
    return await llm.chat(turns, tools=[order_status, public_holidays])
