"""One thing that `streamapp check` looked at."""

from dataclasses import dataclass


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
