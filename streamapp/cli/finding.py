"""One thing that `streamapp check` looked at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; ``detail`` says what to change where it is wrong."""

    name: str
    ok: bool
    detail: str
