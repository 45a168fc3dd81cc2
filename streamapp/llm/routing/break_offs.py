"""Calls of one target that broke off at one moment."""

import math
from collections import deque

from streamapp.errors import AnswerBroken, ProviderUnavailable

#: What breaks off a call, or keeps one from being made; with a status it is an answer.
BROKEN_OFF = (ProviderUnavailable, AnswerBroken)
#: What breaks off within so many seconds breaks off at one moment.
MOMENT_S = 0.5
#: For how long a probe is alone at most, seconds: longer than most answers take.
LONGEST_S = 120.0


class BreakOffs:
    """Tells a server that died under all its calls from calls that broke off each by itself.

    Where two probes that were on their way broke off together, one of them may be what crashes
    the target: from then on each is to be alone for a while, and for twice as long whenever two
    broke off together all the same. Probes that were made one behind the other tell nothing, nor
    do calls from before the target was taken for down.

    Args:
        first_s: For how long a probe is alone at first, seconds.

    Attributes:
        alone_s: For how long a probe is alone, seconds; 0 where others may go beside it.
    """

    def __init__(self, first_s: float) -> None:
        self.alone_s = 0.0
        self._first_s = first_s
        self._last: deque[tuple[float, object]] = deque(maxlen=32)
        self._last_probe: tuple[float, object] = (-math.inf, None)
        self._together_at = -math.inf

    def note(self, of: object, *, at: float) -> None:
        """Take note that a call of the record ``of`` broke off."""
        self._last.append((at, of))

    def has_others(self, of: object, *, at: float) -> bool:
        """Whether a call of another record broke off at the moment ``at``."""
        return any(other is not of and abs(when - at) <= MOMENT_S for when, other in self._last)

    def note_probe(self, of: object, *, since: float, at: float) -> None:
        """Take note that a probe for the record ``of``, on its way ``since`` then, broke off."""
        (when, other), self._last_probe = self._last_probe, (at, of)
        is_together = other is not of and max(since, at - MOMENT_S) <= when
        if is_together and at - self._together_at > MOMENT_S:
            self.alone_s = min(self.alone_s * 2 or self._first_s, LONGEST_S)
            self._together_at = at

    def forget(self) -> None:
        """Let probes go beside each other again."""
        self.alone_s = 0.0
