"""The environment of the settings: the process's variables over those of ``.env``."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, Original, parse_stream

from streamapp.errors import ConfigurationError
from streamapp.settings.syntax import encoding_problem
from streamapp.settings.tables import PREFIX

ENV_FILE = ".env"
CONFIG_FILE = Path("streamapp.toml")
#: What is read of the process alone: by OpenTelemetry's SDK, and by each of the HTTP clients.
_NOT_OURS = re.compile(r"OTEL_\w+|(HTTPS?|ALL|NO)_PROXY", re.IGNORECASE)
_OPEN_QUOTE = re.compile(r"=\s*['\"]")


def environment() -> dict[str, str | None]:
    """Return all variables; None for one that ``.env`` names without a value.

    An empty one of the process, as of ``${NAME:-}`` in a compose file, leaves that of ``.env``.

    Raises:
        ConfigurationError: ``.env`` cannot be read, or has a line that is no variable.
    """
    file, wrong = Path(ENV_FILE), list[Original]()
    try:
        if file.is_file():
            with file.open(encoding="utf-8") as lines:
                wrong = [one.original for one in parse_stream(lines) if _is_none(one)]
    except UnicodeDecodeError as error:
        raise ConfigurationError(encoding_problem(ENV_FILE, error)) from None
    except OSError as error:  # made by another user, as of a repository that a service runs in
        raise ConfigurationError(f"{ENV_FILE}: it cannot be read: {error.strerror}") from None
    if wrong:  # which would be passed over: it may be a misspelt secret
        raise ConfigurationError("\n".join(map(_told, wrong)))
    variables = dotenv_values(ENV_FILE)
    return variables | {n: v for n, v in os.environ.items() if v or not variables.get(n)}


def config_file(variables: Mapping[str, str | None]) -> str | None:
    """Return the path that `CONFIG` names; without one `CONFIG_FILE` is read, if it is there."""
    return {name.upper(): value for name, value in variables.items() if value}.get(
        f"{PREFIX}CONFIG"
    )


def unread() -> list[str]:
    """Return the names that ``.env`` sets in vain: only the process's own are read."""
    return [n for n in dotenv_values(ENV_FILE) if _NOT_OURS.fullmatch(n) and not os.environ.get(n)]


def in_env_file(problems: Iterable[str]) -> list[str]:
    """Return each line, behind its place in ``.env`` where it begins with a variable set there."""
    own = env_places()
    named = ((one, re.split(r"\W", one, maxsplit=1)[0].upper()) for one in problems)
    return [f"{own[name]}: {one}" if name in own else one for one, name in named]


def env_places() -> dict[str, str]:
    """Return where each variable stands that comes from ``.env``, by its name in capitals."""
    try:
        with Path(ENV_FILE).open(encoding="utf-8") as lines:
            found = [(one.key, _line(one.original)) for one in parse_stream(lines)]
    except (OSError, UnicodeDecodeError):  # there is none, or that is what is told
        return {}
    return {n.upper(): f"{ENV_FILE}:{at}" for n, at in found if n and not os.environ.get(n)}


def _is_none(one: Binding) -> bool:
    """Whether it is no variable, or one of ours without a value."""
    return one.error or (one.value is None and (one.key or "").upper().startswith(PREFIX))


def _told(original: Original) -> str:
    problem = "it is no variable: write NAME=VALUE"
    if _OPEN_QUOTE.search(original.string):
        problem = "no value can be read: is there a quote without its end?"
    return f"{ENV_FILE}:{_line(original)}: {problem}"


def _line(original: Original) -> int:
    """Return the line where a text stands: lines without one before it are counted to it."""
    text = original.string
    return original.line + text[: len(text) - len(text.lstrip())].count("\n")
