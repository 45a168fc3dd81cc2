"""Problems of a record, in words that name fields and never a value."""

from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core.core_schema import ErrorType

#: Longest name of a field in a message, characters.
NAME_LIMIT = 64
#: Problems named at once; more than this many are counted instead of listed.
LISTED, COUNTED = 3, 100

_CORE = frozenset(get_args(ErrorType))
#: Pydantic's errors whose text is made of the model's own constraints alone.
_CONSTANT = frozenset(
    {
        "enum",
        "greater_than",
        "greater_than_equal",
        "int_from_float",
        "less_than",
        "less_than_equal",
        "literal_error",
        "multiple_of",
        "string_pattern_mismatch",
        "string_too_long",
        "string_too_short",
        "too_long",
        "too_short",
    }
)


def describe(error: ValidationError, record: type[BaseModel]) -> str:
    """Return what to change, in one line.

    Args:
        error: Why a value is no ``record``.
        record: Names the fields where too many are wrong to list them.
    """
    count = error.error_count()
    if count > COUNTED:
        known = ", ".join(field.alias or name for name, field in record.model_fields.items())
        return f"{count} fields or items are wrong; the record's fields are {known}"
    problems = error.errors(include_url=False, include_input=False)
    lines = [_line(problem["type"], problem["loc"], problem["msg"]) for problem in problems]
    rest = [f"and {count - LISTED} more"] if count > LISTED else []
    return "; ".join([*lines[:LISTED], *rest])


def escape(name: str) -> str:
    """Return ``name`` with what does not print escaped, cut to ``NAME_LIMIT``."""
    escaped = (c if c.isprintable() else f"\\u{ord(c):04x}" for c in name[:NAME_LIMIT])
    return "".join(escaped)[:NAME_LIMIT]


def _line(kind: str, location: tuple[Any, ...], message: str) -> str:
    name = f"field '{'.'.join(escape(str(part)) for part in location)}'"
    if kind == "missing":
        return f"{name} is missing: add it"
    if kind == "extra_forbidden":
        return f"{name} is unknown: remove it"
    if kind == "none_required":
        return f"{name} does not belong to this type: remove it"
    if kind.startswith(("datetime_", "timezone_")):
        return f"{name} must be a time with zone, such as 2030-01-01T00:00:00Z"
    if kind.startswith("union_tag_"):
        return f"{name} is of none of the kinds that are possible here"
    is_constant = kind in _CONSTANT or (kind in _CORE and kind.endswith("_type"))
    if is_constant or kind not in _CORE:  # an unknown kind is a `PydanticCustomError` of a type
        return f"{name}: {message}"
    return f"{name} is not valid ({kind})"
