"""The worker's membership in its group, as far as its client can know it.

A worker that the group has given up hears of it late, or not at all while its line is cut. Its
own clock tells in time: the group keeps a member for a session after its last heartbeat, so
whoever writes within that time, counted from the heartbeat's sending, writes as a member.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable

from streamapp.running_clock import boot_time_s

#: Between two looks for a heartbeat that the group took, seconds.
LOOK_S = 0.1


class Membership:
    """The age of the last successful heartbeat, noted in the client's thread and read in any.

    Args:
        limit_s: How long a heartbeat gives the right to begin a write, seconds: the session
            without the time that a write may take.
        clock: Seconds, also of a machine that sleeps.

    Attributes:
        losses: How often the group did not know this member any more.
        refusal: Why the group does not take this worker; empty where it does.
        generation: Of the last heartbeat that the group took; infinite before the first.
    """

    __slots__ = ("_clock", "_heard_at", "_limit_s", "generation", "losses", "refusal")

    def __init__(
        self, limit_s: float = math.inf, *, clock: Callable[[], float] = boot_time_s
    ) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._heard_at = clock()
        self.losses = 0
        self.refusal = ""
        self.generation = math.inf

    def now(self) -> float:
        """Return the time that ``note`` is told, seconds."""
        return self._clock()

    def note(self, sent_at: float, generation: float = math.inf) -> None:
        """Note that the group took what was sent at that time for a member's of ``generation``."""
        if sent_at >= self._heard_at:
            self.generation = generation  # first: who sees the time sees this as well
            self._heard_at = sent_at
        self.refusal = ""

    async def current_generation(
        self, *, within_s: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> float:
        """Return the group's generation, as it takes a heartbeat that is sent from now on.

        It was no higher at any time before, so that what bears a higher one is of an earlier group
        of that name. What the client was told in its join may be the past.

        Args:
            within_s: How long a heartbeat is waited for, seconds.
            sleep: Between two looks, seconds.

        Returns:
            Infinite where the group takes none in time.
        """
        begun_at = self.now()
        while self.now() - begun_at < within_s:
            await sleep(LOOK_S)
            if self._heard_at > begun_at:
                return self.generation
        return math.inf

    def lose(self) -> None:
        """Note that the group does not know this member: no older right to write comes back."""
        self.losses += 1
        self._heard_at = -math.inf

    @property
    def age_s(self) -> float:
        """Seconds since the last heartbeat that the group took was sent."""
        return self._clock() - self._heard_at

    @property
    def is_current(self) -> bool:
        """Whether this worker is a member for as long as a write may take."""
        # Without `age_s`: several times a record it is asked for.
        return self._clock() - self._heard_at < self._limit_s
