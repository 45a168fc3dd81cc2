"""A version as the text of a prompt file, and the difference between two."""

import difflib
from collections.abc import Iterator

import yaml

from streamapp.prompts.prompt import Version


def file_text(version: Version) -> str:
    """Return front matter and body; a file of it publishes the same content."""
    settings = version.settings.content()
    if not settings:
        return version.body
    head = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{head}---\n{version.body}"


def diff(old: Version, new: Version, *, name: str) -> Iterator[str]:
    """Yield the lines of a unified diff; nothing where both are equal."""
    yield from difflib.unified_diff(
        file_text(old).splitlines(),
        file_text(new).splitlines(),
        f"{name}:{old.version}",
        f"{name}:{new.version}",
        lineterm="",
    )
