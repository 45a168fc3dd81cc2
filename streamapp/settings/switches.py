"""Switches that stand in the configuration file in the place of numbers."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from streamapp.settings.places import FilePlaces
from streamapp.settings.problems import inner_types


def switches_in(file: FilePlaces, fields: Mapping[str, FieldInfo]) -> list[str]:
    """Return a line for each number that is true or false, which pydantic takes for 1 and 0.

    Args:
        file: What the operator wrote.
        fields: Of the settings.
    """
    return [
        f"{file.place(path)}: write a number: true and false are none"
        for path in _switches(file.data, fields, ())
    ]


def _switches(
    table: Mapping[str, Any], fields: Mapping[str, FieldInfo], at: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    for name, value in table.items():
        if name not in fields:
            continue
        kind, path = fields[name].annotation, (*at, name)
        kinds = (kind, *inner_types(kind))
        models = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if isinstance(value, bool):
            if bool not in kinds and any(number in kinds for number in (int, float, Decimal)):
                yield path
        elif models and isinstance(value, Mapping):
            is_named = get_origin(kind) is dict  # tables by names of the operator's
            for key, inner in value.items() if is_named else [("", value)]:
                if isinstance(inner, Mapping):
                    below = (*path, key) if is_named else path
                    yield from _switches(inner, models[0].model_fields, below)
