"""The environment of the settings: the process's variables over those of ``.env``."""

import os

from dotenv import dotenv_values

from streamapp.errors import ConfigurationError
from streamapp.settings import ENV_FILE
from streamapp.settings.syntax import encoding_problem


def environment() -> dict[str, str | None]:
    """Return all variables; None for one that ``.env`` names without a value.

    Raises:
        ConfigurationError: ``.env`` cannot be read as text.
    """
    try:
        return {**dotenv_values(ENV_FILE), **os.environ}
    except UnicodeDecodeError as error:
        raise ConfigurationError(encoding_problem(ENV_FILE, error)) from None
