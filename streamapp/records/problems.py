"""Problems of a record, in words that name fields and never a value."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

#: Longest name of a field in a message, characters.
NAME_LIMIT = 64
#: Problems named at once; more than this many are counted instead of listed.
LISTED, COUNTED = 3, 100

_CORE = frozenset(get_args(ErrorType))
#: Pydantic's errors whose text is made of the model's own constraints alone.
_CONSTANT = frozenset(
    {
        "bool_parsing",
        "decimal_parsing",
        "enum",
        "float_parsing",
        "greater_than",
        "greater_than_equal",
        "int_from_float",
        "int_parsing",
        "int_parsing_size",
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


def describe(error: ValidationError, record: type[BaseModel], value: Any = None) -> str:
    """Return what to change, in one line.

    Args:
        error: Why a value is no ``record``.
        record: Names the fields where too many are wrong to list them.
        value: As parsed; with it places are those of the value alone, see `place_of`.
    """
    count = error.error_count()
    if count > COUNTED:
        fields = ", ".join(_names(record))
        return f"{count} fields or items are wrong; the record's fields are {fields}"
    problems = error.errors(include_url=False, include_input=False)
    lines = list(
        dict.fromkeys(
            _line(problem, place_of(problem["loc"], value), record) for problem in problems
        )
    )
    rest = [f"and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return "; ".join([*lines[:LISTED], *rest])


def place_of(location: Sequence[str | int], value: Any) -> tuple[str | int, ...]:
    """Return pydantic's location without the names of the kinds that it tried on the way.

    Args:
        location: As of an error; its last part may be missing in the value.
        value: As parsed; None leaves the location as it is.
    """
    if value is None:
        return tuple(location)
    place: list[str | int] = []
    for position, part in enumerate(location):
        if isinstance(value, dict) and isinstance(part, str):
            is_last = position == len(location) - 1
            if part not in value and not is_last:
                continue  # the kind of an object
            place.append(part)
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            place.append(part)
            value = value[part]
    return tuple(place)


def escape(name: str) -> str:
    """Return ``name`` with what does not print escaped, cut to ``NAME_LIMIT``."""
    escaped = (c if c.isprintable() else f"\\u{ord(c):04x}" for c in name[:NAME_LIMIT])
    return "".join(escaped)[:NAME_LIMIT]


def near(name: str, known: Iterable[str]) -> str:
    """Return a question for the known name that is like ``name``; empty without one."""
    # What is longer than any name of ours would cost the loop time.
    found = get_close_matches(name, list(known), n=1) if len(name) <= NAME_LIMIT else []
    return f", did you mean '{found[0]}'?" if found else ""


def no_such_route(name: str, known: Collection[str]) -> str:
    """Return what is wrong with a record's model that no route has."""
    return f"model: no such route{near(name, known)}; there are: {', '.join(sorted(known))}"


def said_of(problem: ErrorDetails) -> str:
    """Return what is wrong with a field, to stand behind its name."""
    kind, message = problem["type"], problem["msg"]
    if kind == "missing":
        return "is missing: add it"
    if kind == "extra_forbidden":
        return "is unknown: remove it"
    if kind == "none_required":
        return "does not belong to this type: remove it"
    if kind.startswith(("datetime_", "timezone_")):
        return "must be a time with zone, such as 2030-01-01T00:00:00Z"
    if kind.startswith("union_tag_"):
        context = problem.get("ctx", {})
        tag, known = context.get("discriminator", ""), context.get("expected_tags")
        which = f": its {tag} is one of {known}" if known and tag.startswith("'") else ""
        return f"is of none of the kinds that are possible here{which}"
    return message if _is_quotable(kind) else f"is not valid ({kind})"


def _is_quotable(kind: str) -> bool:
    """Whether pydantic's text holds no value; an unknown kind is a type's own custom error."""
    return kind in _CONSTANT or kind not in _CORE or kind.endswith("_type")


def _line(problem: ErrorDetails, location: Sequence[str | int], record: type[BaseModel]) -> str:
    path = ".".join(escape(str(part)) for part in location)
    name = f"field '{path}'" if path else "the value"
    said = said_of(problem)
    if problem["type"] == "extra_forbidden":
        unknown, model = str(location[-1]), _model_at(location[:-1], record)
        if len(location) == 1 and (place := _place_under(unknown, record)):
            said = f"is unknown here: put it under '{place}'"
        elif model and (guess := near(unknown, _names(model))):
            said = f"is unknown{guess}"
    return f"{name}: {said}" if said == problem["msg"] else f"{name} {said}"


def _names(record: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in record.model_fields.items()]


def _place_under(name: str, record: type[BaseModel]) -> str:
    """Return the field of ``record`` that is an object with such a field; empty without one."""
    for place, field in zip(_names(record), record.model_fields.values(), strict=True):
        kind = field.annotation
        for one in get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,):
            if isinstance(one, type) and issubclass(one, BaseModel) and name in _names(one):
                return place
    return ""


def _model_at(place: Sequence[str | int], record: type[BaseModel]) -> type[BaseModel] | None:
    """Return the one kind of object that stands at a place; None where there may be several."""
    for part in place:
        if isinstance(part, int):
            continue  # an item is of the kind that its list's field names
        kinds = dict(zip(_names(record), record.model_fields.values(), strict=True))
        found = set(_models_in(kinds[part].annotation)) if part in kinds else set()
        if len(found) != 1:
            return None
        [record] = found
    return record


def _models_in(kind: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that an annotation names, however deep."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for one in get_args(kind):
        yield from _models_in(one)
