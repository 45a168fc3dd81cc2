"""The parameters that a vendor's error says it does not take."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from streamapp.llm.providers.refusals.details import Details
from streamapp.llm.providers.refusals.signs_of_parameters import (
    PARAMETER_SIGNS,
    RESPONSE_FORMAT_SIGNS,
    SCHEMA_SIGNS,
    WANTED_SIGNS,
    ParameterSign,
)


@dataclass(frozen=True, slots=True)
class Refused:
    """What an error refuses.

    Attributes:
        names: Of parameters, as OpenAI writes them.
        by_value: Whether their values alone are refused.
        beside: The parameter that they may not stand beside; empty where they may not at all.
        wanted: Values that they have to have, in place of none or of another one.
    """

    names: tuple[str, ...] = ()
    by_value: bool = False
    beside: str = ""
    wanted: Mapping[str, Any] = field(default_factory=dict)


#: Codes beside the name of a parameter that is refused, or of a value of it.
_REFUSING = frozenset(
    {"unsupported_parameter", "unknown_parameter", "unknown_field"}
    | {"extra_forbidden", "value_error.extra"}
)
_REFUSING_VALUES = frozenset({"unsupported_value"})
#: Matches of one sign in one text.
_MOST = 16
_CAMEL = re.compile(r"(?<=[a-z])([A-Z])")
_QUOTES = re.compile(r"['\" ]")


def refused_parameters(details: Details) -> Refused:
    """Return the parameters that an error refuses.

    Names within ``messages`` are left out, and words that the request says too: they are the
    record's, and what is refused is remembered for all others. A way of asking for JSON that
    is not taken is named ``response_format``, a schema that is not taken ``json_schema``.
    """
    if any(_matches(SCHEMA_SIGNS, details)):
        return Refused(("json_schema",))
    if any(_matches(RESPONSE_FORMAT_SIGNS, details)):
        return Refused(("response_format",))
    for sign, _ in _matches(WANTED_SIGNS, details):
        return Refused(tuple(sign.wanted), wanted=sign.wanted)
    found: dict[str, None] = {}
    values: dict[str, None] = {}
    for sign, match in _matches(PARAMETER_SIGNS, details):
        names = _QUOTES.sub("", next(filter(None, match.groups()))).split(",")
        if sign.beside:
            return Refused(tuple(map(_root, names)), beside=sign.beside)
        (values if sign.by_value else found).update(dict.fromkeys(map(_root, names)))
    for name, codes in details.fields:
        if codes & _REFUSING:
            found[_root(name)] = None
        elif codes & _REFUSING_VALUES:
            values[_root(name)] = None
    # What is refused altogether is refused with its value too.
    if whole := _known(found):
        return Refused(whole)
    return Refused(_known(values), by_value=True)


def _known(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in ("", "messages", "model", "input"))


def _matches(
    signs: Iterable[ParameterSign], details: Details
) -> Iterator[tuple[ParameterSign, re.Match[str]]]:
    for sign in signs:
        for text in details.texts:
            # Each is looked for in the whole request: nobody names more.
            for match in islice(sign.pattern.finditer(text), _MOST):
                if not details.own.hold(match.group()):
                    yield sign, match


def _root(name: str) -> str:
    """Return the parameter that a dotted name lies in, in snake case."""
    first, _, deeper = name.removeprefix("body.").partition(".")
    first = _CAMEL.sub(lambda match: "_" + match.group(1).lower(), first)
    # What is refused within it is a part of one schema, or of its frame.
    return "json_schema" if first == "response_format" and deeper not in ("", "type") else first
