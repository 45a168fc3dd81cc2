"""A change of the registry: an event and, where the label of a text needs it, a second one."""

from collections.abc import Awaitable, Callable

from streamapp.prompts.events import Event, Labelled, Published
from streamapp.prompts.fold import EventOutcome, fold
from streamapp.prompts.history import History
from streamapp.prompts.prompt import Prompt


async def write_change(
    history: History,
    name: str,
    event: Event,
    *,
    write: Callable[[str, Event], Awaitable[EventOutcome]],
) -> EventOutcome:
    """Write the event, and return what became of it; nothing is written where it is refused.

    Args:
        history: The prompts as they are.
        name: Of the prompt.
        event: What is to change.
        write: Appends an event, and returns once ``history`` has it.

    Raises:
        PromptNotFound: It names a prompt, version or label that does not exist.
        PromptConflict: The label is protected, or was moved meanwhile.
        PromptError: It is wrong in itself.
    """
    after, outcome = fold(history.prompts.get(name), name, event)
    outcome.check(name)
    if move := _move(after, event, outcome):
        fold(after, name, move)[1].check(name)
    outcome = await write(name, event)
    outcome.check(name)  # somebody else may have been faster
    if move := _move(history.prompts.get(name), event, outcome):
        (await write(name, move)).check(name)
    return outcome


def _move(prompt: Prompt | None, event: Event, outcome: EventOutcome) -> Labelled | None:
    """Return what points the label of a text at its version, where the text alone does not."""
    if not isinstance(event, Published) or event.label is None or event.labels == "new":
        return None
    if prompt is None or outcome.version in (None, prompt.labels.get(event.label)):
        return None
    return Labelled(
        label=event.label,
        version=outcome.version,
        force=event.labels == "by force",
        author=event.author,
        message=event.message,
        created_at=event.created_at,
    )
