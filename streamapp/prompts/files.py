"""Prompt files: YAML front matter between two lines ``---``, then the body."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from streamapp.errors import ConfigurationError, PromptError
from streamapp.prompts.events import Published
from streamapp.prompts.reference import NAME
from streamapp.prompts.settings import PromptSettings
from streamapp.prompts.template import Template
from streamapp.records.problems import describe

#: The author of versions that came from files.
AUTHOR = "file"

#: How deep the front matter may nest: far above what any provider takes for a schema.
MAX_DEPTH = 100

_FENCE = "---"
_STARTS = (
    *(yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken),
    *(yaml.BlockSequenceStartToken, yaml.BlockMappingStartToken),
)
_ENDS = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)


class _FrontMatter(PromptSettings):
    """The names of all fields of a front matter, for messages."""

    name: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class PromptFile:
    """One file as read, with its body compiled.

    Attributes:
        label: Points at the new version where the file's content becomes one.
        path: Where the file is; empty where it is none.
        lines: The line of each field of the front matter.
    """

    name: str
    settings: PromptSettings
    body: str
    template: Template
    label: str | None = None
    path: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)

    def event(self, *, created_at: datetime) -> Published:
        """Return the event that publishes the file."""
        return Published(
            body=self.body,
            settings=self.settings.content(),
            label=self.label,
            author=AUTHOR,
            created_at=created_at,
        )


def load_files(directory: Path, *, must_exist: bool = False) -> dict[str, PromptFile]:
    """Return the built-in prompts and those of ``directory``, which win, by name.

    Raises:
        ConfigurationError: Files are wrong, a line for each, or the directory is missing and must
            exist.
    """
    found, problems = read_files(directory, must_exist=must_exist)
    if problems:
        raise ConfigurationError("\n".join(problems))
    return found


def read_files(
    directory: Path, *, must_exist: bool = False
) -> tuple[dict[str, PromptFile], list[str]]:
    """Return those of the prompts of `load_files` that can be read, and a line for each other.

    Each ``*.md`` is one, the README excepted; the lines name file, line and fix.
    """
    found, problems = _by_name(files("streamapp.prompts") / "builtin")
    if directory.is_dir():
        try:
            own, wrong = _by_name(directory)
        except OSError as error:
            return found, [*problems, f"prompts_dir: {directory}: {error.strerror}"]
        return found | own, problems + wrong
    if must_exist:
        problems.append(f"prompts_dir: there is no directory {str(directory)!r}")
    return found, problems


def parse_prompt(text: str, *, name: str) -> PromptFile:
    """Return the prompt that the text of a file holds.

    Args:
        text: Front matter and body; the front matter may be missing.
        name: The prompt's name where the front matter gives none.

    Raises:
        PromptError: The message begins with ``line N:``, and names all that is wrong.
    """
    head, body, first_line = _parted(text.removeprefix("\ufeff"))
    fields = _front_matter(head)
    lines = {key: _line_of(key, head) for key in fields}
    name, label = fields.pop("name", name), fields.pop("label", None)
    settings, template, problems = PromptSettings(), None, []
    for key, value in (("name", name), ("label", label)):
        if key == "label" and value is None:
            continue
        if not isinstance(value, str) or not NAME.fullmatch(value):
            problem = f"a {key} is letters, digits, '.', '_' and '-', at most 100"
            problems.append(f"line {_line_of(key, head)}: {problem}")
    try:
        settings = PromptSettings.model_validate(fields)
    except ValidationError as error:
        line = _line_of(str(error.errors()[0]["loc"][0]), head)
        problems.append(f"line {line}: {describe(error, _FrontMatter)}")
    try:
        template = Template(body, first_line=first_line)
    except PromptError as error:
        problems.append(str(error))
    if problems or template is None:
        raise PromptError("; ".join(problems))
    return PromptFile(name, settings, body, template, label, lines=lines)


def _by_name(directory: Traversable) -> tuple[dict[str, PromptFile], list[str]]:
    """Return the prompts of a directory, and what is wrong with others, by the files' names."""
    found: dict[str, PromptFile] = {}
    problems = []
    for path in sorted(directory.iterdir(), key=lambda path: path.name):
        if not path.name.endswith(".md") or path.name.lower() == "readme.md":
            continue
        try:
            file = parse_prompt(path.read_text("utf-8"), name=path.name.removesuffix(".md"))
            if file.name in found:
                problems.append(f"two prompt files are named '{file.name}': rename one")
            found[file.name] = replace(file, path=str(path))
        except OSError as error:
            problems.append(f"prompt file {path}: {error.strerror}")
        except UnicodeDecodeError:
            problems.append(f"prompt file {path}: save it as UTF-8")
        except PromptError as error:
            problems.append(f"prompt file {path}, {error}")
    return found, problems


def _parted(text: str) -> tuple[str, str, int]:
    """Return front matter, body and the body's first line."""
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return "", text, 1
    for number, line in enumerate(lines[1:], 1):
        if line.rstrip() == _FENCE:
            return "\n".join(lines[1:number]), "\n".join(lines[number + 1 :]), number + 2
    raise PromptError(f"line 1: the front matter has no end; add a line '{_FENCE}' before the text")


def _check_tokens(head: str) -> None:
    """Refuse what costs more to parse than its length tells.

    A few lines of aliases can stand for gigabytes; the scanner looks at every open bracket again
    for each token, and the parser calls itself for each.
    """
    depth = 0
    for token in yaml.scan(head, Loader=yaml.SafeLoader):
        line = token.start_mark.line + 2
        if isinstance(token, yaml.AliasToken):
            raise PromptError(f"line {line}: the front matter has no aliases: write it out")
        depth += isinstance(token, _STARTS) - isinstance(token, _ENDS)
        if depth > MAX_DEPTH:
            raise PromptError(
                f"line {line}: the front matter is nested too deep: {MAX_DEPTH} at most"
            )


def _front_matter(head: str) -> dict[str, Any]:
    try:
        _check_tokens(head)
        fields = yaml.safe_load(head) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "not readable"
        line = mark.line + 2 if mark else 2
        raise PromptError(f"line {line}: the front matter is not valid YAML: {reason}") from None
    if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
        raise PromptError("line 2: the front matter must be lines of 'name: value'")
    return fields


def _line_of(field: str, head: str) -> int:
    """Return the file's line that sets a top-level field of the front matter, else its first."""
    lines = enumerate(head.split("\n"), 2)
    return next((number for number, line in lines if line.startswith(f"{field}:")), 1)
