"""A reference to a prompt: ``name``, ``name@label`` or ``name:version``."""

import re
from dataclasses import dataclass

from streamapp.errors import PromptNotFound

#: Names of prompts and labels.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_REFERENCE = re.compile(rf"({NAME.pattern})(?:@({NAME.pattern})|:([0-9]{{1,9}}))?")


STORED = (
    "names a stored prompt; for free text use a record of type 'chat'"
    " (write NAME, NAME@LABEL or NAME:VERSION)"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One prompt; at most one of ``label`` and ``version`` is set."""

    name: str
    label: str | None = None
    version: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Read a reference.

        Raises:
            PromptNotFound: It has another shape.
        """
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise PromptNotFound(f"field 'prompt' {STORED}")
        name, label, version = match.groups()
        return cls(name, label, int(version) if version else None)
