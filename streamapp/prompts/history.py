"""The history of all prompts: each event of the topic applied once, in order."""

from collections.abc import MutableMapping
from dataclasses import dataclass

from streamapp.errors import PromptError
from streamapp.prompts.events import DeadLettered, Event, decode
from streamapp.prompts.fold import EventOutcome, Why, fold
from streamapp.prompts.prompt import Prompt
from streamapp.records.dead_letter import Headers

#: Outcomes kept for whoever wrote the event.
OUTCOMES_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Invalid:
    """An event that no reader can use, as it stands on the topic."""

    key: bytes | None
    value: bytes | None
    problem: str
    headers: Headers = None


class History:
    """Folds the topic's events into ``prompts``.

    Args:
        prompts: By name; filled here, may be read by others at any time.

    Attributes:
        position: The offset after the last event applied.
        invalid: Events that nobody has dead-lettered yet, by offset.
    """

    def __init__(self, prompts: MutableMapping[str, Prompt]) -> None:
        self.prompts = prompts
        self.position = 0
        self.invalid: dict[int, Invalid] = {}
        self._outcomes: dict[int, EventOutcome] = {}

    def apply(
        self, offset: int, key: bytes | None, value: bytes | None, headers: Headers = None
    ) -> None:
        """Apply the event at that offset, once; never raises, whatever the bytes are."""
        if offset < self.position:
            return
        try:
            outcome = self._fold(*decode(key, value))
        except PromptError as error:
            outcome = EventOutcome(why=Why.INVALID, problem=str(error))
        except Exception as error:
            # The topic is forever: a bug of ours must not keep every worker from starting.
            outcome = EventOutcome(
                why=Why.INVALID, problem=f"internal error {type(error).__name__}"
            )
        # What came too late or lacked force is no fault of the event.
        if outcome.why in (Why.INVALID, Why.UNKNOWN):
            self.invalid[offset] = Invalid(key, value, outcome.problem, headers)
        self._outcomes[offset] = outcome
        self._outcomes.pop(offset - OUTCOMES_KEPT, None)
        self.position = offset + 1

    def replace(self, other: "History") -> None:
        """Hold what ``other`` holds, and nothing else: the topic was made anew."""
        self.prompts.clear()
        self.prompts.update(other.prompts)
        self.position, self.invalid = other.position, other.invalid
        self._outcomes = other._outcomes

    def outcome(self, offset: int) -> EventOutcome | None:
        """Return what became of a recent event; None before it is applied."""
        return self._outcomes.get(offset)

    def _fold(self, name: str, event: Event) -> EventOutcome:
        if isinstance(event, DeadLettered):
            self.invalid.pop(event.offset, None)
            return EventOutcome()
        prompt, outcome = fold(self.prompts.get(name), name, event)
        if prompt is not None:
            self.prompts[name] = prompt
        return outcome
