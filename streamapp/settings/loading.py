"""Loading of the settings: every source read, every wrong value named in one error."""

import codecs
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_settings import SettingsError

from streamapp.errors import ConfigurationError
from streamapp.settings import Settings
from streamapp.settings.environment import (
    CONFIG_FILE,
    ENV_FILE,
    config_file,
    environment,
    in_env_file,
)
from streamapp.settings.file_secrets import secrets_in
from streamapp.settings.flows import FlowSettings
from streamapp.settings.keys import KeySettings, with_values
from streamapp.settings.located import with_place
from streamapp.settings.mcp import McpSettings, with_environment
from streamapp.settings.places import FilePlaces
from streamapp.settings.problems import Names
from streamapp.settings.switches import switches_in
from streamapp.settings.syntax import encoding_problem, syntax_problem
from streamapp.settings.tables import (
    PREFIX,
    BudgetSettings,
    ModelSettings,
    ProviderSettings,
    implied,
)
from streamapp.settings.unused import unused
from streamapp.settings.variables import unset_in


def load_settings(*, may_lack_secrets: bool = False, **overrides: Any) -> Settings:
    """Read the settings, the providers' keys included.

    Args:
        may_lack_secrets: Whether the variables that the file names for keys may be missing.
        overrides: Values that win over every source, by field name.

    Raises:
        ConfigurationError: Values are wrong; a line for each that names it and what to change.
    """
    try:
        return _loaded(overrides, may_lack_secrets=may_lack_secrets)
    except ConfigurationError as error:
        error.args = ("\n".join(in_env_file(str(error).splitlines())),)
        raise


def _loaded(overrides: Mapping[str, Any], *, may_lack_secrets: bool) -> Settings:
    variables = environment()
    named = config_file(variables)
    file = Path(named or CONFIG_FILE)
    if named and not file.is_file():
        raise ConfigurationError(f"{PREFIX}CONFIG: there is no file {str(file)!r}")
    if file.is_dir():  # as Docker makes one of a mount that is not there
        raise ConfigurationError(f"{file}: it is a folder: write a file of that name, or remove it")
    try:
        if file.is_file():
            file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file}: it cannot be read: {error.strerror}") from None
    places = FilePlaces.of(file)
    problems = [
        *_NAMES.unknown(variables),
        *_NAMES.in_capitals(places),
        *_file_in_file(places),
        *secrets_in(places, Settings.model_fields),
        *switches_in(places, Settings.model_fields),
    ]
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        wrong = _NAMES.wrong(error, file=places, environment=variables)
        unset = unset_in(places.data, variables, may_lack=may_lack_secrets)
        wrong += [with_place(line, places, environment=variables) for line in unset]
        raise ConfigurationError("\n".join([*problems, *wrong])) from None
    except SettingsError as error:
        wrong = _no_json(error, variables)
        raise ConfigurationError("\n".join([*problems, *wrong])) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError("\n".join([*problems, _unreadable(file, error)])) from None
    providers, models, more = implied(
        settings.providers,
        settings.models,
        model=settings.model,
        environment=variables,
        may_lack=may_lack_secrets,
    )
    keys, wrong = with_values(
        settings.keys,
        variables,
        models=models,
        api_keys=settings.api_tokens,
        may_lack=may_lack_secrets,
    )
    mcp, missing = with_environment(settings.mcp, variables, may_lack=may_lack_secrets)
    more += [*wrong, *missing, *unused(settings, providers, models)]
    more = [with_place(line, places, environment=variables) for line in more]
    if problems or more:
        raise ConfigurationError("\n".join([*problems, *more]))
    providers = {
        name: provider.model_copy(
            update={
                "timeout_s": provider.timeout_s or settings.timeout_s,
                "stream_idle_s": provider.stream_idle_s or settings.stream_idle_s,
            }
        )
        for name, provider in providers.items()
    }
    return settings.model_copy(
        update={"providers": providers, "models": models, "keys": keys, "mcp": mcp}
    )


def known_log_format() -> Literal["console", "json"]:
    """Return the format of the log, also where other settings are wrong; `console` where it is."""
    try:
        named = environment()
    except ConfigurationError:  # which is told, in the format that is known without it
        named = {**os.environ}
    file = FilePlaces.of(Path(config_file(named) or CONFIG_FILE))
    variables = {name.upper(): value for name, value in named.items()}
    found = variables.get(f"{PREFIX}LOG_FORMAT") or file.data.get("log_format")
    return "json" if found == "json" else "console"


def _file_in_file(places: FilePlaces) -> Iterator[str]:
    """Give a line where the file names another in its place, which nobody would read."""
    if "config" in places.data:
        place = places.place(("config",))
        yield f"{place}: write {PREFIX}CONFIG into the environment or {ENV_FILE}"


def _no_json(error: SettingsError, environment: Mapping[str, str | None]) -> list[str]:
    """Name the variables whose text is no JSON and has to be: that of a list or of a table.

    pydantic-settings ends at the first and names its field, not the variable: its text tells.
    """
    field, cause = _FIELD.search(str(error)), error.__cause__
    text = cause.doc if isinstance(cause, json.JSONDecodeError) else None
    names = [
        name
        for name, value in environment.items()
        if field and value == text and name.upper().split("__")[0] == PREFIX + field[1].upper()
    ]
    if text is None or not names:
        raise error
    return [
        f"{name}: no valid JSON, which a list or a table in a variable is: write a list as"
        """ '["a", "b"]' and a table as '{"name": "value"}'"""
        for name in sorted(names)
    ]


def _unreadable(file: Path, error: ValueError) -> str:
    """Say why a file is no TOML, and what to change where the encoding is to blame."""
    if isinstance(error, UnicodeDecodeError):
        return encoding_problem(str(file), error)
    if file.read_bytes().startswith(codecs.BOM_UTF8):
        return f"{file}: it begins with a byte order mark: save it as UTF-8 without one"
    assert isinstance(error, tomllib.TOMLDecodeError)
    return syntax_problem(str(file), file.read_text("utf-8"), error)


_FIELD = re.compile(r'for field "(\w+)"')
_NAMES = Names(
    PREFIX,
    Settings.model_fields,
    sections={
        "providers": ProviderSettings,
        "models": ModelSettings,
        "budgets": BudgetSettings,
        "keys": KeySettings,
        "flows": FlowSettings,
        "mcp": McpSettings,
    },
)
