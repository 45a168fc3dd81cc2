"""A prompt as its events left it: immutable versions, and labels that point at them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from streamapp.errors import PromptNotFound
from streamapp.prompts.settings import PromptSettings
from streamapp.prompts.template import Template

#: The label that a bare name means, and the one that follows the newest version.
PRODUCTION, LATEST = "production", "latest"


@dataclass(frozen=True, slots=True)
class Version:
    """One text of a prompt and what goes with it; never changes."""

    version: int
    body: str
    settings: PromptSettings
    template: Template
    author: str = ""
    message: str = ""
    created_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the version as it is shown over HTTP."""
        return {
            "version": self.version,
            "body": self.body,
            "settings": self.settings.content(),
            "author": self.author,
            "message": self.message,
            "created_at": self.created_at.isoformat() if self.created_at else None,
        }


@dataclass(frozen=True, slots=True)
class LabelMove:
    """The change that put a label where it is: from which version to which, by whom and why.

    Attributes:
        before: None where the label was new.
    """

    version: int
    before: int | None
    author: str
    message: str
    created_at: datetime

    def to_json(self) -> dict[str, Any]:
        """Return the move as it is shown over HTTP."""
        return {
            "version": self.version,
            "before": self.before,
            "author": self.author,
            "message": self.message,
            "created_at": self.created_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Prompt:
    """All versions of one prompt, and what points at them.

    Attributes:
        labels: The version that each label points at; always one that exists.
        moved: What put each label there; not of `LATEST`, which goes by itself.
        before: Where each label stood before, the last place last; a move back removes it.
        split: Shares of labels in percent where a bare name means several; else None.
        protected: Labels that move by force alone.
        numbers: The number of each content ever published, by its digest. A text that cannot
            be used has a number and no version.
        is_retired: Whether records may not name it any more.
    """

    name: str
    versions: Mapping[int, Version] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    moved: Mapping[str, LabelMove] = field(default_factory=dict)
    before: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    split: Mapping[str, int] | None = None
    protected: frozenset[str] = frozenset()
    numbers: Mapping[str, int] = field(default_factory=dict)
    is_retired: bool = False

    @property
    def newest(self) -> int | None:
        """The number of the newest version."""
        return self.labels.get(LATEST)

    @property
    def known(self) -> str:
        """The labels and versions that exist, for messages."""
        labels = ", ".join(sorted(self.labels)) or "none"
        return f"labels: {labels}; newest version: {self.newest or 'none'}"

    @property
    def note(self) -> str:
        """What brings a retired prompt back, for messages; empty of others."""
        command = f"streamapp prompts retire {self.name} --off"
        return f"retired: a new text, or '{command}', brings it back" if self.is_retired else ""

    def find(self, *, label: str | None, version: int | None) -> Version:
        """Return the version of that number, else the one at the label, by default `PRODUCTION`.

        That of a retired prompt, too: it may be read, and `PromptRegistry` refuses its use.

        Raises:
            PromptNotFound: There is none.
        """
        number = self.labels.get(label or PRODUCTION) if version is None else version
        found = self.versions.get(number or 0)
        if found is None:
            # Not named: a record's field is never quoted.
            what = "label" if version is None else "version"
            problem = f"there is no such {what}; {self.known}"
            raise PromptNotFound(f"prompt '{self.name}': {problem}")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the prompt as it is shown over HTTP."""
        return {
            "name": self.name,
            "versions": [version.to_json() for version in self.versions.values()],
            "labels": dict(self.labels),
            "split": dict(self.split) if self.split else None,
            "protected": sorted(self.protected),
            "retired": self.is_retired,
            **({"note": self.note} if self.note else {}),
            "moved": {label: move.to_json() for label, move in self.moved.items()},
            "before": {label: past[-1] for label, past in self.before.items() if past},
        }

    def summary(self) -> dict[str, Any]:
        """Return the same without the texts: numbers in place of versions."""
        return self.to_json() | {"versions": sorted(self.versions)}
