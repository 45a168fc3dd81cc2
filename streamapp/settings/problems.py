"""Problems of the settings, a line each; they name variables and places, never values."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from streamapp.settings.flows import FLOW_NAME, MESSAGE, TOPIC_NAME, TOPIC_PREFIX
from streamapp.settings.keys import TENANT
from streamapp.settings.mcp import MCP_NAME
from streamapp.settings.places import FilePlaces
from streamapp.settings.tables import API_VERSION, STORE, URL, URL_OR_NONE

#: What Kubernetes puts into the environment of pods beside a Service named as we are.
_SERVICE_LINK = re.compile(r"(.*_)?(SERVICE_(HOST|PORT(_.*)?)|PORT_\d+_(TCP|UDP|SCTP)(_.*)?)")
_SERVICE_ADDRESS = ("tcp://", "udp://", "sctp://")
#: Where tables of MCP servers are looked for; the first one is a setting of ours, and no table.
_MCP_ELSEWHERE = ("tools", "tool", "mcp_servers", "mcpservers")
#: What is said of a route among all.
_ROUTE = re.compile(r"models\.(.+?) target ")
#: What to write, by the pattern that a text has to match; pydantic would show that alone.
PATTERNS: Mapping[str, str] = {
    TOPIC_NAME: "a topic's name has letters, digits, '.', '_' and '-', at most 249",
    TOPIC_PREFIX: "write letters, digits, '.', '_' and '-', at most 200",
    FLOW_NAME: "a flow's name has small letters, digits, '_' and '-', at most 61",
    MESSAGE: "write MODULE:CLASS, as shop.review_pb2:Review",
    MCP_NAME: "a server's name begins with a letter, then come letters, digits and '-', at most 31",
    URL: "write an address, as https://HOST/PATH",
    URL_OR_NONE: "write an address, as https://HOST",
    STORE: "write memory:// or rocksdb://",
    API_VERSION: "write a version as the vendor does, such as 2024-10-21",
    TENANT: "a tenant's name has letters, digits, '.', '_' and '-', at most 64",
}


class Names:
    """The names that settings can have in the environment and in the file.

    Args:
        prefix: Of every name in the environment.
        fields: By their names in lower case, without the prefix.
        sections: Those of the fields that are tables of the model, by names of the operator's.
    """

    def __init__(
        self,
        prefix: str,
        fields: Mapping[str, FieldInfo],
        *,
        sections: Mapping[str, type[BaseModel]],
    ) -> None:
        self._prefix = prefix
        self._fields = fields
        self._sections = sections

    def unknown(self, environment: Mapping[str, str | None]) -> list[str]:
        """Return a line for each variable with the prefix that sets nothing."""
        found = []
        for variable, value in sorted(environment.items()):
            name = variable.upper()
            if not name.startswith(self._prefix):
                continue
            name = name.removeprefix(self._prefix)
            path = name.lower().split("__")
            is_known = path[0] in self._fields and (len(path) == 1 or path[0] in self._sections)
            is_link = _SERVICE_LINK.fullmatch(name) or (value or "").startswith(_SERVICE_ADDRESS)
            if not is_known and not is_link:
                found.append(f"{variable}: {self._no_such(path, self._variable)}")
        return found

    def in_capitals(self, file: FilePlaces) -> list[str]:
        """Return a line for each setting of the file that is written as a variable is.

        pydantic would take it, beside one in small letters and past the look for secrets.
        """
        return [
            f"{file.place((name,))}: write {name.lower()}, in small letters"
            for name in file.data
            if name not in self._fields and name.lower() in self._fields
        ]

    def wrong(
        self, error: ValidationError, *, file: FilePlaces, environment: Collection[str] = ()
    ) -> list[str]:
        """Return a line for each problem that pydantic found.

        Args:
            error: What it found.
            file: Problems of what stands there are named by their place.
            environment: Names of the variables, which win over the file.
        """
        variables = {name.upper() for name in environment}
        lines = []
        found = error.errors(include_input=False, include_url=False)
        for problem in _of_each(_gathered(found, file.data)):
            path = [str(part) for part in problem["loc"] if part != "[key]"]
            message = problem["msg"].removeprefix("Value error, ")
            is_set = any(self._variable(path[:n]) in variables for n in range(1, len(path) + 1))
            place = None if is_set else file.place(path)
            if problem["type"] == "string_pattern_mismatch":
                message = PATTERNS.get(problem["ctx"]["pattern"], message)
            if problem["type"] == "extra_forbidden":
                message = self._no_such(path, _last if place else self._variable)
            is_table = bool(path) and isinstance(file.data.get(path[0]), Mapping)
            if is_table and problem["type"].endswith("_type") and len(path) == 1:
                message = self._no_table(path[0], file.data[path[0]])
            if is_table and path[0].lower() in _MCP_ELSEWHERE:
                message = (
                    "an MCP server is a table [mcp.NAME]; modules with tools of your own are named"
                    ' by tools = "MODULE"'
                )
            lines.append(f"{place or self._variable(path)}: {message}" if path else message)
        return lines

    def _no_such(self, path: Sequence[str], written: Any) -> str:
        """Say that there is no such setting, and which one may be meant."""
        parents, name, known = [], path[0], self._fields
        if name in self._sections and len(path) > 1:
            *parents, name = path
            known = _fields_at(self._sections[path[0]], path[2:-1])
        near = get_close_matches(name.lower(), known, n=1)
        guess = f"; did you mean {written([*parents, near[0]])}?" if near else ""
        return f"there is no such setting{guess}"

    def _no_table(self, name: str, table: Mapping[str, Any]) -> str:
        """Say that a setting is no table, and which one may be meant."""
        near = get_close_matches(name, self._sections, n=1)
        inner = next(iter(table), "NAME")
        guess = f"; did you mean [{near[0]}.{inner}]?" if near else ""
        return f"it is a value, and no table: write {name} = VALUE{guess}"

    def _variable(self, path: Sequence[str]) -> str:
        return self._prefix + "__".join(path).upper()


def _gathered(problems: Sequence[ErrorDetails], data: Mapping[str, Any]) -> Iterator[ErrorDetails]:
    """Give the problems, what one table lacks as one of them; a table like it may be meant."""
    lacking: dict[tuple[Any, ...], list[str]] = {}
    for problem in problems:
        if problem["type"] == "missing":
            lacking.setdefault(problem["loc"][:-1], []).append(str(problem["loc"][-1]))
    for problem in problems:
        if problem["type"] != "missing":
            yield problem
        elif names := lacking.pop(problem["loc"][:-1], None):
            *parents, name = problem["loc"][:-1] or ("",)
            beside: Any = data
            for part in parents:
                beside = beside.get(part) if isinstance(beside, Mapping) else None
            others = [one for one in beside if one != name] if isinstance(beside, Mapping) else []
            near = get_close_matches(str(name), others, n=1) if parents else []
            guess = f"; did you mean [{'.'.join(map(str, (*parents, near[0])))}]?" if near else ""
            *others, last = names
            told = f"{', '.join(others)} and {last} are" if others else "it is"
            loc = problem["loc"][:-1] if others else problem["loc"]
            mend = f"{told} missing: add {'them' if others else 'it'}{guess}"
            yield {**problem, "loc": loc, "msg": mend}


def _of_each(problems: Iterator[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Give the problems, those of several routes at once as one of each, with its place."""
    for problem in problems:
        lines = problem["msg"].removeprefix("Value error, ").split("; models.")
        names = [_ROUTE.match(f"models.{line.removeprefix('models.')}") for line in lines]
        if problem["loc"] != ("models",) or not all(names):
            yield problem
            continue
        for match in filter(None, names):
            loc = ("models", match[1], "targets")
            yield {**problem, "loc": loc, "msg": match.string[match.end(1) + 1 :]}


def _fields_at(model: type[BaseModel], parents: Sequence[str]) -> Mapping[str, FieldInfo]:
    """Return the fields of a table within a model's; it may be one of several, by a name."""
    parts = iter(parents)
    for part in parts:
        field = model.model_fields.get(part)
        kinds = [field.annotation, *inner_types(field.annotation)] if field else []
        found = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
        if found is None:
            break
        model = found
        if any(get_origin(kind) is dict for kind in kinds):
            next(parts, None)
    return model.model_fields


def _last(path: Sequence[str]) -> str:
    return path[-1]


def inner_types(annotation: Any) -> Iterator[Any]:
    """Give the types that stand in a type, such as the values' of a dictionary."""
    for inner in get_args(annotation):
        yield inner
        yield from inner_types(inner)
