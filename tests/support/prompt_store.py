"""The registry without a broker: events are applied as they are written."""

from datetime import UTC, datetime

from streamapp.prompts.events import Event, Published, encode
from streamapp.prompts.fold import EventOutcome
from streamapp.prompts.history import History

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class FakePromptStore:
    """A history that somebody else may write to between a check and a write.

    Attributes:
        failure: Raised by the next writes.
        first: Written before the next event, as by a faster one.
    """

    def __init__(self) -> None:
        self.history = History({})
        self.failure: Exception | None = None
        self.first: Event | None = None

    async def write(self, name: str, event: Event, *, timeout_s: float = 1) -> EventOutcome:
        if self.failure:
            raise self.failure
        if self.first:
            first, self.first = self.first, None
            await self.write(name, first)
        offset = self.history.position
        self.history.apply(offset, name.encode(), encode(event))
        outcome = self.history.outcome(offset)
        assert outcome is not None
        return outcome

    async def publish(self, name: str, *bodies: str) -> None:
        for body in bodies:
            await self.write(name, Published(body=body, created_at=NOW))
