"""Problems of the settings, a line each; they name variables and places, never values."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from streamapp.settings.places import FilePlaces

#: What Kubernetes puts into the environment of pods beside a Service named as we are.
_SERVICE_LINK = re.compile(r"(.*_)?(SERVICE_(HOST|PORT(_.*)?)|PORT_\d+_(TCP|UDP|SCTP)(_.*)?)")
_SERVICE_ADDRESS = ("tcp://", "udp://", "sctp://")


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
        for problem in error.errors(include_input=False, include_url=False, include_context=False):
            path = [str(part) for part in problem["loc"] if part != "[key]"]
            message = problem["msg"].removeprefix("Value error, ")
            is_set = any(self._variable(path[:n]) in variables for n in range(1, len(path) + 1))
            place = None if is_set else file.place(path)
            if problem["type"] == "extra_forbidden":
                message = self._no_such(path, _last if place else self._variable)
            lines.append(f"{place or self._variable(path)}: {message}" if path else message)
        return lines

    def secrets_in(self, file: FilePlaces) -> list[str]:
        """Return a line for each secret that the file holds, with what belongs there instead."""
        return [
            f"{file.place(path)}: a secret does not belong into the file, which may be shared:"
            f" {self._instead(path)}"
            for path in self._secrets(file.data, self._fields, ())
        ]

    def _secrets(
        self, table: Mapping[str, Any], fields: Mapping[str, FieldInfo], at: tuple[str, ...]
    ) -> Iterator[tuple[str, ...]]:
        for name, value in table.items():
            field = fields.get(name)
            if field is None:
                continue
            kinds = (field.annotation, *_inner(field.annotation))
            models = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
            if SecretStr in kinds:
                # The address of a cache is a secret where it holds a password.
                if not str(value).partition("://")[1] or "@" in str(value):
                    yield (*at, name)
            elif models and isinstance(value, Mapping):
                for key, inner in value.items():
                    if isinstance(inner, Mapping):
                        yield from self._secrets(inner, models[0].model_fields, (*at, name, key))

    def _instead(self, path: Sequence[str]) -> str:
        section, *names = path
        if section == "providers":
            variable = re.sub(r"\W", "_", names[0]).upper() + "_API_KEY"
            return f'put it into a variable and name that one: api_key_env = "{variable}"'
        if section == "keys":
            return "name the variable that holds it, key_env, or write its digest, key_sha256"
        return f"set the variable {self._variable(path)}"

    def _no_such(self, path: Sequence[str], written: Any) -> str:
        """Say that there is no such setting, and which one may be meant."""
        parents, name, known = [], path[0], self._fields
        if name in self._sections and len(path) > 1:
            *parents, name = path
            known = self._sections[path[0]].model_fields
            if len(path) > 4 and (field := known.get(path[2])):  # a table within, by a name
                model = next((k for k in _inner(field.annotation) if hasattr(k, "model_fields")), 0)
                known = getattr(model, "model_fields", known)
        near = get_close_matches(name.lower(), known, n=1)
        guess = f"; did you mean {written([*parents, near[0]])}?" if near else ""
        return f"there is no such setting{guess}"

    def _variable(self, path: Sequence[str]) -> str:
        return self._prefix + "__".join(path).upper()


def _last(path: Sequence[str]) -> str:
    return path[-1]


def _inner(annotation: Any) -> Iterator[Any]:
    """Give the types that stand in a type, such as the values' of a dictionary."""
    for inner in get_args(annotation):
        yield inner
        yield from _inner(inner)
