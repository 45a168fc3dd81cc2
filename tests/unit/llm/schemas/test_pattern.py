"""Patterns, with and without look-around, and what they may cost."""

from typing import Any

import pytest

from streamapp.errors import InvalidRecord
from streamapp.llm.schemas.pattern import PatternCost, PatternError, compiled_pattern
from streamapp.llm.schemas.schema import Schemas

#: As pydantic wrote them for `Decimal`, without and with a number of digits (2.11).
PLAIN = r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"
DIGITS = r"^(?!^[-+.]*$)[+-]?0*(?:\d{0,6}|(?=[\d.]{1,9}0*$)\d{0,6}\.\d{0,2}0*$)"


def decimals(pattern: str) -> dict[str, Any]:
    return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": pattern}]}


INVOICE = {
    "type": "object",
    "properties": {"total": decimals(PLAIN), "rate": decimals(DIGITS)},
    "required": ["total", "rate"],
}


@pytest.mark.parametrize(
    ("total", "rate", "fits"),
    [
        (12.5, "1.25", True),
        ("12.50", "123456.78", True),
        ("-", "1.25", False),
        ("1e3", "1.25", False),
        ("12", "-", False),
    ],
)
def test_decimals_of_pydantic_are_judged(total: Any, rate: Any, fits: bool) -> None:
    """Patterns of pydantic's decimals work as they are."""
    mismatch = Schemas().mismatch(INVOICE, {"total": total, "rate": rate})

    assert (mismatch is None) is fits


def test_pattern_of_neither_engine_is_refused() -> None:
    """What is no pattern is an error, without a word of it."""
    with pytest.raises(PatternError) as caught:
        compiled_pattern("(CANARY")

    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [(r"^(?!x)(a*)*\1b$", "a" * 30), (r"(?<!x)a+", "a" * 3_000)],
    ids=["steps", "length"],
)
def test_costly_match_is_given_up(pattern: str, text: str) -> None:
    """Look-around has a bound of steps and of text; past it the record is invalid."""
    with pytest.raises(PatternCost):
        compiled_pattern(pattern)(text)
    with pytest.raises(InvalidRecord, match="too costly"):
        Schemas().mismatch({"pattern": pattern}, text)
