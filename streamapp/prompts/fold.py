"""The fold of prompt events: pure, so that every reader of the topic arrives at the same state.

The topic has one partition: its order decides which of two writers came first. A number once
given is never given again, not even where a later release judges an old text differently: a
text that cannot be used keeps its number and makes no version.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import ValidationError

from streamapp.errors import PromptConflict, PromptError, PromptNotFound
from streamapp.prompts.events import (
    DeadLettered,
    Event,
    Labelled,
    Protected,
    Published,
    Retired,
    Split,
)
from streamapp.prompts.prompt import LATEST, PRODUCTION, LabelMove, Prompt, Version
from streamapp.prompts.settings import PromptSettings
from streamapp.prompts.template import Template
from streamapp.records.problems import describe


class Why(StrEnum):
    """Why an event changed nothing."""

    INVALID = "invalid"
    UNKNOWN = "unknown"
    PROTECTED = "protected"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """What became of an event.

    Attributes:
        version: Of a text: its number, be it new or old.
        why: None where the event took effect, or there was nothing left to do.
        problem: What to change, in one line.
    """

    version: int | None = None
    why: Why | None = None
    problem: str = ""

    def check(self, name: str) -> None:
        """Raise why nothing changed; ``name`` is the prompt's.

        Raises:
            PromptNotFound: For what does not exist.
            PromptConflict: For what is protected, or was moved meanwhile.
            PromptError: For what is wrong in itself.
        """
        if self.why is None:
            return
        kind = {Why.UNKNOWN: PromptNotFound, Why.INVALID: PromptError}.get(self.why, PromptConflict)
        raise kind(f"prompt '{name}': {self.problem}")


def fold(prompt: Prompt | None, name: str, event: Event) -> tuple[Prompt | None, EventOutcome]:
    """Return the prompt after the event, and what became of the event."""
    if isinstance(event, Published):
        return _publish(prompt or Prompt(name), event)
    if isinstance(event, DeadLettered):
        return prompt, EventOutcome()
    if prompt is None:
        return None, EventOutcome(why=Why.UNKNOWN, problem="there is no prompt of that name")
    if isinstance(event, Labelled):
        return _label(prompt, event)
    if isinstance(event, Split):
        return _split(prompt, event)
    if isinstance(event, Retired):
        return replace(prompt, is_retired=event.on), EventOutcome()
    return _protect(prompt, event)


def move(prompt: Prompt, label: str, version: int, event: Labelled | Published) -> Prompt:
    """Return the prompt with the label at that version; a move back is forgotten again."""
    current, past = prompt.labels.get(label), prompt.before.get(label, ())
    if current == version:
        return prompt
    if past and past[-1] == version:
        past = past[:-1]
    elif current is not None:
        past = (*past, current)
    moved = dict(prompt.moved)
    if label != LATEST:
        moved[label] = LabelMove(version, current, event.author, event.message, event.created_at)
    return replace(
        prompt,
        labels={**prompt.labels, label: version},
        moved=moved,
        before={**prompt.before, label: past},
    )


def _publish(prompt: Prompt, event: Published) -> tuple[Prompt, EventOutcome]:
    digest = event.digest()
    if digest in prompt.numbers:
        number = prompt.numbers[digest]
        if number in prompt.versions:
            return prompt, EventOutcome(version=number)
        return prompt, EventOutcome(why=Why.INVALID, problem="this text was refused before")
    number = len(prompt.numbers) + 1
    prompt = replace(prompt, numbers={**prompt.numbers, digest: number})
    try:
        settings = PromptSettings.model_validate(event.settings)
        template = Template(event.body)
    except ValidationError as error:
        problem = f"settings: {describe(error, PromptSettings)}"
        return prompt, EventOutcome(why=Why.INVALID, problem=problem)
    except PromptError as error:
        return prompt, EventOutcome(why=Why.INVALID, problem=f"body, {error}")
    version = Version(
        number, event.body, settings, template, event.author, event.message, event.created_at
    )
    # Who publishes a new text wants it used.
    versions = {**prompt.versions, number: version}
    prompt = replace(prompt, versions=versions, is_retired=False)
    if PRODUCTION not in prompt.labels:
        prompt = move(prompt, PRODUCTION, number, event)
    if event.label and event.label not in prompt.protected:
        prompt = move(prompt, event.label, number, event)
    return move(prompt, LATEST, number, event), EventOutcome(version=number)


def _label(prompt: Prompt, event: Labelled) -> tuple[Prompt, EventOutcome]:
    label, version = event.label, event.version
    if label == LATEST:
        return _refused(prompt, Why.INVALID, f"the label '{LATEST}' follows the newest version")
    if version not in prompt.versions:
        return _refused(prompt, Why.UNKNOWN, f"there is no version {version}; {prompt.known}")
    if event.expected is not None and prompt.labels.get(label) != event.expected:
        return _refused(prompt, Why.STALE, "the label was moved meanwhile: look again")
    if label in prompt.protected and not event.force and prompt.labels.get(label) != version:
        problem = 'the label is protected: it moves with --force, over HTTP with "force": true'
        return _refused(prompt, Why.PROTECTED, problem)
    return move(prompt, label, version, event), EventOutcome(version=version)


def _split(prompt: Prompt, event: Split) -> tuple[Prompt, EventOutcome]:
    shares = event.shares or None
    if shares and sum(shares.values()) != 100:
        return _refused(prompt, Why.INVALID, "the shares of a split must sum up to 100")
    missing = sorted(shares.keys() - prompt.labels.keys()) if shares else ()
    if missing:
        names = ", ".join(f"'{label[:64]}'" for label in missing)
        return _refused(prompt, Why.UNKNOWN, f"there is no label {names}; {prompt.known}")
    if PRODUCTION in prompt.protected and not event.force and shares != prompt.split:
        problem = f"'{PRODUCTION}' is protected: split it with --force, over HTTP ?force=true"
        return _refused(prompt, Why.PROTECTED, problem)
    return replace(prompt, split=shares), EventOutcome()


def _protect(prompt: Prompt, event: Protected) -> tuple[Prompt, EventOutcome]:
    if event.label not in prompt.labels or event.label == LATEST:
        problem = f"there is no label '{event.label[:64]}' to protect; {prompt.known}"
        return _refused(prompt, Why.UNKNOWN, problem)
    labels = {event.label}
    protected = prompt.protected | labels if event.on else prompt.protected - labels
    return replace(prompt, protected=protected), EventOutcome()


def _refused(prompt: Prompt, why: Why, problem: str) -> tuple[Prompt, EventOutcome]:
    return prompt, EventOutcome(why=why, problem=problem)
