"""The rates of flows: their state, looked at now and then, with what was done in between."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from streamapp.flows.topics import FlowTopics
from streamapp.settings import Settings
from streamapp.streaming.flows.state import FlowState, flow_states, with_requests

#: Kafka is asked at most so often, seconds, however many look on.
EVERY_S = 1.0
#: A look that is older than that tells no rate, seconds.
STALE_S = 60.0

Look = Callable[[Settings, Mapping[str, FlowTopics]], Awaitable[list[FlowState]]]


class FlowRates:
    """The flows as Kafka tells of them.

    Args:
        settings: Say how Kafka is reached.
        flows: The user's, by name.
        look: Asks Kafka.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        settings: Settings,
        flows: Mapping[str, FlowTopics],
        *,
        look: Look = flow_states,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._flows = with_requests(settings, flows)
        self._look = look
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._at: float | None = None
        self._found: list[tuple[FlowState, float | None]] = []

    async def now(self) -> Sequence[tuple[FlowState, float | None]]:
        """Return each flow with its rate since the look before, records a second.

        The rate is that of committed offsets, over all workers; None at the first look.

        Raises:
            KafkaError: No broker answered.
        """
        async with self._one_at_a_time:
            at = self._clock()
            if self._at is not None and at - self._at < EVERY_S:
                return self._found
            states = await self._look(self._settings, self._flows)
            gap_s = None if self._at is None or at - self._at > STALE_S else at - self._at
            before = {state.name: state for state, _ in self._found}
            self._found = [
                (state, None if gap_s is None else _rate(before[state.name], state, gap_s))
                for state in states
            ]
            self._at = at
            return self._found


def _rate(before: FlowState, now: FlowState, gap_s: float) -> float:
    # Offsets that were set back, by an operator, are no work.
    return round(max(0, now.committed - before.committed) / gap_s, 2)
