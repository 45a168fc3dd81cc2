"""Which text a reference means: immutable versions, and labels that point at them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from streamapp.errors import ConfigurationError, PromptError, PromptNotFound
from streamapp.prompts.files import PromptFile, read_prompts
from streamapp.prompts.reference import Reference
from streamapp.prompts.settings import PromptSettings
from streamapp.prompts.template import Template, Variable

#: The label that a bare name means, and the one that follows the newest version.
PRODUCTION, LATEST = "production", "latest"


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """One version as a record uses it; ``label`` is None where the version was named."""

    name: str
    version: int
    label: str | None
    settings: PromptSettings
    template: Template

    @property
    def model(self) -> str | None:
        """The route to use where the record names none."""
        return self.settings.model

    @property
    def parameters(self) -> dict[str, Any]:
        """Sampling parameters by OpenAI's names."""
        return self.settings.parameters.sampling()

    @property
    def output_schema(self) -> dict[str, Any] | None:
        """JSON Schema of the answer, or None for free text."""
        return self.settings.output_schema

    def render(self, variables: Mapping[str, Variable]) -> list[dict[str, str]]:
        """Return OpenAI-shaped messages.

        Raises:
            PromptError: A variable is missing or of another kind, or the result is too long.
        """
        try:
            return self.template.render(variables)
        except PromptError as error:
            problem = str(error)
        raise PromptError(f"prompt {self.name}:{self.version}, {problem}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """All versions of one prompt, and the version each label points at."""

    name: str
    versions: Mapping[int, PromptFile]
    labels: Mapping[str, int]


class PromptRegistry:
    """Resolves references against prompts that someone else keeps.

    Args:
        prompts: By name. Any mapping will do, also a live view of a table: it is asked anew
            for each reference.
    """

    def __init__(self, prompts: Mapping[str, Prompt]) -> None:
        self._prompts = prompts

    @classmethod
    def load(cls, directory: Path, *, must_exist: bool = False) -> "PromptRegistry":
        """Return the built-in prompts and those of ``directory``, which win by name.

        Each file is version 1, with both labels of the system.

        Raises:
            ConfigurationError: A file is wrong, or the directory is missing and must exist.
        """
        found = _first_versions(read_prompts(files("streamapp.prompts") / "builtin"))
        if directory.is_dir():
            found |= _first_versions(read_prompts(directory))
        elif must_exist:
            raise ConfigurationError(f"prompts_dir: there is no directory {str(directory)!r}")
        return cls(found)

    @property
    def names(self) -> list[str]:
        """The names of all prompts, sorted."""
        return sorted(self._prompts)

    def resolve(self, reference: str, *, sticky: bytes) -> PromptVersion:
        """Return the version that ``reference`` means now.

        Args:
            reference: ``name``, ``name@label`` or ``name:version``.
            sticky: What decides between variants where a bare name has a split: the record's
                key, or its id without one.

        Raises:
            PromptNotFound: There is no such prompt, label or version.
        """
        wanted = Reference.parse(reference)
        prompt = self._prompts.get(wanted.name)
        if prompt is None:
            raise PromptNotFound("field 'prompt': there is no prompt of that name")
        label, version = wanted.label, wanted.version
        if version is None:
            label = label or PRODUCTION
            version = prompt.labels.get(label)
        if version is None or version not in prompt.versions:
            raise PromptNotFound(
                f"prompt '{prompt.name}': there is no such label or version; labels:"
                f" {', '.join(sorted(prompt.labels))}; newest version: {max(prompt.versions)}"
            )
        file = prompt.versions[version]
        return PromptVersion(prompt.name, version, label, file.settings, file.template)


def _first_versions(prompt_files: Iterable[PromptFile]) -> dict[str, Prompt]:
    prompts: dict[str, Prompt] = {}
    for file in prompt_files:
        if file.name in prompts:
            raise ConfigurationError(f"two prompt files are named '{file.name}': rename one")
        labels = {PRODUCTION: 1, LATEST: 1}
        prompts[file.name] = Prompt(file.name, versions={1: file}, labels=labels)
    return prompts
