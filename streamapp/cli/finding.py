"""One thing that `streamapp check` looked at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; ``detail`` says what to change where it is wrong.

    One that ``is_note`` is not wrong, and perhaps not meant.
    """

    name: str
    ok: bool
    detail: str
    is_note: bool = False

    @property
    def mark(self) -> tuple[str, str]:
        """What stands before it, and in which colour."""
        if not self.ok:
            return "WRONG", "red"
        return ("note ", "yellow") if self.is_note else ("ok   ", "green")


def outweighed(findings: Iterable[Finding], answers: Sequence[Finding]) -> list[Finding]:
    """Return the findings about providers with a note for what is wrong where targets answer.

    A list may leave out a model, or be nothing that this key may read; an answer is proof.

    Args:
        findings: About a provider, a model or a target, by what follows the first word of the name.
        answers: Of each target that was asked; all of a provider must be good for its own.
    """
    return [
        replace(one, ok=True, is_note=True, detail=f"{one.detail}; it answers all the same")
        if not one.ok and _is_proven(_place(one), answers)
        else one
        for one in findings
    ]


def _is_proven(place: str, answers: Sequence[Finding]) -> bool:
    told = [one.ok for one in answers if f"{_place(one)}/".startswith(f"{place}/")]
    return bool(told) and all(told)


def _place(finding: Finding) -> str:
    return finding.name.partition(" ")[2]
