"""Places in the file for problems that are found after it was read, beyond its values' types."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from streamapp.errors import ConfigurationError
from streamapp.settings import Settings
from streamapp.settings.environment import CONFIG_FILE, environment, in_env_file
from streamapp.settings.places import FilePlaces
from streamapp.settings.tables import PREFIX

#: What such a line begins with: ``[flows.labels] fields.text: ...``, ``keys.shop.models: ...``,
#: ``providers.a.api_version does nothing ...``, ``prices_file: ...``, ``prompts_dir: ...``.
_HEAD = re.compile(
    r"\[?(?P<path>[a-z_]+\.\S.*?|[a-z_]+_(file|dir))(?P<index>(\[\d+\]\S*)?)(?=: | does nothing)"
)
_REST = re.compile(r"[A-Za-z0-9_.-]*")


@contextmanager
def located_problems(settings: Settings) -> Iterator[None]:
    """Name what is wrong inside by its place in the file, where it stands in one."""
    try:
        yield
    except ConfigurationError as error:
        error.args = ("\n".join(located(settings, str(error).splitlines())),)
        raise


def located(settings: Settings, problems: Iterable[str]) -> list[str]:
    """Return each line with its place in the file of the settings, or in ``.env``, if any."""
    file = FilePlaces.of(settings.config or CONFIG_FILE)
    variables = environment()
    return in_env_file(with_place(line, file, environment=variables) for line in problems)


def with_place(problem: str, file: FilePlaces, *, environment: Collection[str] = ()) -> str:
    """Return a problem with its place before it, as ``streamapp.toml:3: [flows.labels] when``.

    A setting of its own that a variable sets is named by that.

    Args:
        problem: One line that begins with a table, and a key of it, as settings are named.
        file: Of the settings.
        environment: Names of the variables, which win over the file.
    """
    head = _HEAD.match(problem)
    if head is None:
        return problem
    variables = {name.upper() for name in environment}
    if (variable := f"{PREFIX}{head['path']}".upper()) in variables:
        return f"{variable}{problem[head.end() :]}"
    path = _path(head["path"].replace("] ", ".").rstrip("]"), file.data)
    if not path:
        return problem
    if any(f"{PREFIX}{'__'.join(path[:n])}".upper() in variables for n in range(1, len(path) + 1)):
        return problem
    return f"{file.place(path)}{head['index']}{problem[head.end() :]}"


def _path(written: str, data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of a path joined by dots, which names may hold too; none if not there."""
    path: list[str] = []
    found: Any = data
    while written:
        if not isinstance(found, Mapping):
            return tuple(path)
        parts = written.split(".")
        names = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
        name = next((name for name in names if name in found), None)
        if name is None:  # a key that is not there, in a table that is
            return (*path, written) if len(path) > 1 and _REST.fullmatch(written) else ()
        path.append(name)
        found, written = found[name], written[len(name) + 1 :]
    return tuple(path)
