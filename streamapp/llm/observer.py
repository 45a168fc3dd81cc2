"""The observer of waits and retries, which metrics and traces implement."""

from typing import Protocol


class CallObserver(Protocol):
    """Hears what is seldom: a call that need not wait, and is answered, tells nobody."""

    def waited(self, provider: str, wait_s: float) -> None:
        """A call waited for a limit, and goes now."""
        ...

    def retried(self, provider: str, reason: str) -> None:
        """An attempt failed for ``reason``, the name of its error, and is made again."""
        ...


class Unobserved:
    """Hears nothing."""

    def waited(self, provider: str, wait_s: float) -> None:
        """Nobody asks."""

    def retried(self, provider: str, reason: str) -> None:
        """Nobody asks."""
