"""What the probes ask; the lifecycle answers it without waiting for anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold.

    Attributes:
        detail: Why not, or how well, in one line for an operator; never a secret.
    """

    ok: bool
    detail: str = ""


class Health(Protocol):
    """The state of this worker, as of now; each method returns at once."""

    def liveness(self) -> Mapping[str, Check]:
        """Return what must hold for the process to be left alone; failing means restart it."""
        ...

    def readiness(self) -> Mapping[str, Check]:
        """Return what must hold for the worker to do its work: assigned, recovered, ..."""
        ...

    def degraded(self) -> Sequence[str]:
        """Return what is impaired without making the worker unready, e.g. a provider's outage."""
        ...


def is_ready(health: Health) -> bool:
    """Whether every readiness check holds."""
    return all(check.ok for check in health.readiness().values())
