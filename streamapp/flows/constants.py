"""The values of a flow's fields that no record changes, held against the fields of its type."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError, to_json

from streamapp.errors import ConfigurationError
from streamapp.flows.expression import Expression, is_template
from streamapp.records.problems import place_of, said_of

#: By what pydantic calls it, what is written for it.
_WRITTEN = {
    "list_type": "write a list, as {name}[...]",
    "tuple_type": "write a list, as {name}[...]",
    "dict_type": "write a table, as {name}{{...}}",
    "model_type": "write a table, as {name}{{...}}",
    "string_type": 'write a text, as {name}"..."',
    "int_type": "write a number without quotes",
    "float_type": "write a number without quotes",
    "bool_type": "write true or false, without quotes",
}
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (str, "a text"),
    (int, "a number"),
    (float, "a number"),
    (list, "a list"),
    (Mapping, "a table"),
)


def wrong_constants(
    fields: Mapping[str, Any], record: type[BaseModel], *, place: Callable[[str], str]
) -> Iterator[str]:
    """Yield a line for each value that no record of the type can have.

    Args:
        fields: As the operator wrote them; what templates give is known with a record only.
        record: Has the fields.
        place: Gives flow and field for a field's path, as ``labels`` or ``messages[0].role``.
    """
    try:
        text = to_json(dict(fields))
        record.__pydantic_validator__.validate_json(text, strict=True)
    except PydanticSerializationError:
        return  # what TOML cannot hold
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    else:
        return
    said: dict[str, list[str]] = {}
    for problem in problems:
        where = place_of(problem["loc"], fields)
        if where and where[0] in fields and _is_certain(problem, _at(fields, where)):
            lines = said.setdefault(place(_written(where)), [])
            lines.append(_line(problem, where, _at(fields, where)))
    for named, lines in said.items():
        yield f"{named}: {' or '.join(dict.fromkeys(lines))}"


def _is_certain(problem: ErrorDetails, value: Any) -> bool:
    """Whether it is wrong whatever a template in it gives."""
    if problem["type"] == "missing":
        return True
    if not _has_template(value):
        return True
    # The parts of a list may be anything; that it is a list, or a rendered text, is sure.
    return problem["type"] in _WRITTEN and not (isinstance(value, str) and _may_be_any(value))


def _may_be_any(text: str) -> bool:
    """Whether the template gives a value as it is, or is one that is refused anyway."""
    try:
        return Expression(text, place="").is_value
    except ConfigurationError:
        return True


def _has_template(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_template, value.values()))
    if isinstance(value, list):
        return any(map(_has_template, value))
    return isinstance(value, str) and is_template(value)


def _line(problem: ErrorDetails, where: Sequence[str | int], value: Any) -> str:
    kind = problem["type"]
    if kind not in _WRITTEN:
        return said_of(problem)
    # An item of a list is written alone: with the list's name, all of it would be replaced.
    name = f"{where[-1]} = " if isinstance(where[-1], str) else ""
    is_ = next((words for type, words in _KINDS if isinstance(value, type)), "another kind")
    if kind == "string_type" and isinstance(value, int | float):
        return f'it is {is_}: write it in quotes, as {name}"..."'
    return f"it is {is_}: {_WRITTEN[kind].format(name=name)}"


def _at(value: Any, where: Sequence[str | int]) -> Any:
    for part in where:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
    return value


def _written(where: Sequence[str | int]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return path.removeprefix(".")
