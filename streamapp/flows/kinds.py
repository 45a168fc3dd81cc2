"""Kinds of values as JSON has them, in plain words for messages that may quote no value."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def kind_of(value: Any) -> str:
    """Return the kind of a value with its article, as ``a text``."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float() | Decimal():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
    return f"of the kind {type(value).__name__}"
