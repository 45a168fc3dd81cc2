"""Problems of the settings, a line each; they name variables, never values."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

#: What Kubernetes puts into the environment of pods beside a Service named as we are.
_SERVICE_LINK = re.compile(r"(.*_)?(SERVICE_(HOST|PORT(_.*)?)|PORT_\d+_(TCP|UDP|SCTP)(_.*)?)")
_SERVICE_ADDRESS = ("tcp://", "udp://", "sctp://")


class Names:
    """The names that settings can have in the environment.

    Args:
        prefix: Of every name.
        fields: In lower case, without the prefix.
        sections: Those of the fields that are tables of the model, by names of the operator's.
    """

    def __init__(
        self, prefix: str, fields: Collection[str], *, sections: Mapping[str, type[BaseModel]]
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
                found.append(f"{variable}: {self._no_such(path)}")
        return found

    def wrong(self, error: ValidationError) -> list[str]:
        """Return a line for each problem that pydantic found."""
        lines = []
        for problem in error.errors(include_input=False, include_url=False, include_context=False):
            path = [str(part) for part in problem["loc"]]
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden":
                message = self._no_such(path)
            lines.append(f"{self._variable(path)}: {message}" if path else message)
        return lines

    def _no_such(self, path: list[str]) -> str:
        """Say that there is no such setting, and which one may be meant."""
        parents, name, known = [], path[0], self._fields
        if name in self._sections and len(path) > 1:
            *parents, name = path
            known = self._sections[path[0]].model_fields
        near = get_close_matches(name.lower(), known, n=1)
        guess = f"; did you mean {self._variable([*parents, near[0]])}?" if near else ""
        return f"there is no such setting{guess}"

    def _variable(self, path: list[str]) -> str:
        return self._prefix + "__".join(path).upper()
