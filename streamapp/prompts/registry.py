"""The prompt registry: resolves a reference to an immutable version and renders it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streamapp.errors import PromptError, PromptNotFound
from streamapp.prompts.example_fit import Fit
from streamapp.prompts.example_set import Examples
from streamapp.prompts.examples import ExamplesManager
from streamapp.prompts.files import PromptFile, load_files
from streamapp.prompts.prompt import LATEST, PRODUCTION, Prompt, Version
from streamapp.prompts.reference import Reference
from streamapp.prompts.settings import PromptSettings
from streamapp.prompts.similar import Embed, Nearest
from streamapp.prompts.split import choose
from streamapp.prompts.template import Template, Variable
from streamapp.records.problems import near
from streamapp.records.response import PromptUse


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """One version as a record uses it.

    Attributes:
        label: None where the version was named.
        examples: Before the question.
        nearest: Chooses others in their place once the question is known; None for those.
        fit: Which of those the text can take.
    """

    name: str
    version: int
    label: str | None
    settings: PromptSettings
    template: Template
    examples: Examples = ()
    nearest: Nearest | None = None
    fit: Fit | None = None

    @property
    def use(self) -> PromptUse:
        """What a response says of it."""
        return PromptUse(name=self.name, version=self.version, label=self.label)

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

    @property
    def agent(self) -> PromptSettings:
        """The tools that its model may call, and the bounds of that."""
        return self.settings

    async def messages(
        self, variables: Mapping[str, Variable], *, embed: Embed
    ) -> list[dict[str, str]]:
        """Return OpenAI-shaped messages; raises as `render`.

        Args:
            variables: Of the record's question.
            embed: Returns one vector a text, at the expense of the record.
        """
        if self.nearest is None or self.fit is None:
            return self.render(variables)
        found = await self.nearest(variables, embed)
        examples = [example for example in found if self.fit.problem_of(example) is None]
        return replace(self, examples=examples, nearest=None).render(variables)

    def render(self, variables: Mapping[str, Variable]) -> list[dict[str, str]]:
        """Return OpenAI-shaped messages.

        Raises:
            PromptError: A variable is missing or of another kind, or the result is too long.
        """
        try:
            examples = [(example.variables, example.answer) for example in self.examples]
            given = self.fit.given if self.fit else ()
            return self.template.render(variables, examples=examples, given=given)
        except PromptError as error:
            problem = str(error)
        raise PromptError(f"prompt {self.name}:{self.version}, {problem}")


class PromptRegistry:
    """Resolves references against prompts that someone else keeps.

    Args:
        prompts: By name. Any mapping will do, also a live view of a table: it is asked anew
            for each reference.
        examples: Gives a version its examples, by its settings and ``sticky``.
        files: Where prompts come from, by name.
    """

    def __init__(
        self,
        prompts: Mapping[str, Prompt],
        *,
        examples: ExamplesManager | None = None,
        files: Mapping[str, PromptFile] | None = None,
    ) -> None:
        self._prompts = prompts
        self._examples = examples
        self._files = files or {}

    @classmethod
    def load(cls, directory: Path, *, must_exist: bool = False) -> "PromptRegistry":
        """Return the prompts of `load_files` alone; raises as that."""
        return cls.of(load_files(directory, must_exist=must_exist))

    @classmethod
    def of(cls, files: Mapping[str, PromptFile]) -> "PromptRegistry":
        """Return a registry of `prompts_of` the files."""
        return cls(prompts_of(files), files=files)

    @property
    def names(self) -> list[str]:
        """The names of all prompts that are in use, sorted."""
        return sorted(name for name, prompt in self._prompts.items() if not prompt.is_retired)

    def __contains__(self, name: str) -> bool:
        """Whether there is a prompt of that name, in use or retired."""
        return name in self._prompts

    def place(self, name: str, field: str = "") -> str:
        """Return where a prompt, or a field of its front matter, stands; for messages."""
        file = self._files.get(name)
        if file is None:
            return f"prompt '{name}'"
        line = file.lines.get(field)
        return f"prompt file {file.path}{f', line {line}' if line else ''}"

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
            raise PromptNotFound(
                f"field 'prompt': there is no prompt of that name{near(wanted.name, self.names)};"
                " 'streamapp prompts list' lists them"
            )
        if prompt.is_retired:
            raise PromptNotFound(f"prompt '{prompt.name}' is {prompt.note}; else name another")
        label = wanted.label
        if label is None and wanted.version is None:
            split = prompt.split
            label = choose(split, sticky, salt=prompt.name) if split else PRODUCTION
        found = prompt.find(label=label, version=wanted.version)
        use = PromptVersion(prompt.name, found.version, label, found.settings, found.template)
        settings = found.settings.examples
        if settings is None or self._examples is None:
            return use
        version_name = f"{prompt.name}:{found.version}"
        fit = self._examples.fit(settings, found.template, version=version_name)
        return replace(
            use,
            examples=self._examples.chosen(settings, fit, sticky=sticky),
            nearest=self._examples.nearest(settings, fit),
            fit=fit,
        )


def prompts_of(files: Mapping[str, PromptFile]) -> dict[str, Prompt]:
    """Return the prompts in which each file is version 1, with both labels of the system."""
    labels = {PRODUCTION: 1, LATEST: 1}
    return {
        name: Prompt(name, {1: Version(1, f.body, f.settings, f.template)}, labels)
        for name, f in files.items()
    }
