"""Rollback: moves a label back to its previous version."""

from datetime import datetime

from streamapp.errors import PromptNotFound
from streamapp.prompts.events import Labelled
from streamapp.prompts.prompt import Prompt


def rollback(
    prompt: Prompt,
    label: str,
    *,
    created_at: datetime,
    author: str = "",
    message: str = "",
    force: bool = False,
) -> Labelled:
    """Return the event that moves the label to the version it pointed at before.

    It is refused where somebody else moves the label first, so two rollbacks at once are one.

    Raises:
        PromptNotFound: The label has never been elsewhere.
    """
    past = prompt.before.get(label, ())
    if not past:
        raise PromptNotFound(f"prompt '{prompt.name}': the label has no earlier version")
    return Labelled(
        label=label,
        version=past[-1],
        expected=prompt.labels[label],
        author=author,
        message=message,
        force=force,
        created_at=created_at,
    )
