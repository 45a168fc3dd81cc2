"""`docker compose config` without Docker: the file parsed, variables filled in, all checked."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from compose_spec import PyCompose

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "compose.yaml"

_VARIABLE = re.compile(r"\$\{(?P<name>\w+):(?P<how>[?-])(?P<text>[^}]*)\}")


def config(environment: Mapping[str, str], *, text: str | None = None) -> dict[str, Any]:
    """Return the compose file as Docker would use it.

    Args:
        environment: Stands for the shell's and for deploy/.env.
        text: In place of the file's.

    Raises:
        ValueError: A required variable is empty; or the file is not what the Compose
            Specification says.
    """
    parsed: dict[str, Any] = _filled(yaml.safe_load(text or FILE.read_text()), environment)
    PyCompose.from_json(json.dumps(parsed)).validate()
    for name, service in parsed["services"].items():
        volumes = [mount.split(":")[0] for mount in service.get("volumes", ())]
        missing = {*service.get("depends_on", ())} - parsed["services"].keys()
        missing |= {volume for volume in volumes if volume[0] not in "./"} - parsed[
            "volumes"
        ].keys()
        if missing:
            raise ValueError(f"{name} names what does not exist: {missing}")
    return parsed


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    """Return the value with every variable in its texts filled in."""
    if isinstance(value, dict):
        return {name: _filled(part, environment) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, environment) for part in value]
    if not isinstance(value, str):
        return value

    def fill(variable: re.Match[str]) -> str:
        found = environment.get(variable["name"], "")
        if not found and variable["how"] == "?":
            raise ValueError(f"{variable['name']}: {variable['text']}")
        return found or variable["text"]

    return _VARIABLE.sub(fill, value)
