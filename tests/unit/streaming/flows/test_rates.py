from collections.abc import Mapping

from streamapp.flows.topics import FlowTopics
from streamapp.settings import Settings
from streamapp.streaming.flows.rates import STALE_S, FlowRates
from streamapp.streaming.flows.state import FlowState

TOPICS = FlowTopics("x", ("y",), "x-dlt")


class Looks:
    """Kafka, with a committed count that a test sets."""

    def __init__(self) -> None:
        self.committed = 0
        self.count = 0
        self.clock = 100.0
        self.rates = FlowRates(Settings(), {"a": TOPICS}, look=self._look, clock=lambda: self.clock)

    async def _look(self, settings: Settings, flows: Mapping[str, FlowTopics]) -> list[FlowState]:
        self.count += 1
        return [FlowState(name, topics, 1, self.committed, 0, 0) for name, topics in flows.items()]

    async def rate(self) -> float | None:
        return {state.name: rate for state, rate in await self.rates.now()}["a"]


async def test_a_rate_is_that_since_the_look_before() -> None:
    """The first look knows none, nor does one long after another."""
    looks = Looks()
    first = await looks.rate()
    looks.clock, looks.committed = 104.0, 50
    second = await looks.rate()
    looks.clock += STALE_S + 1

    assert (first, second, await looks.rate()) == (None, 12.5, None)


async def test_kafka_is_not_asked_for_each_who_looks_on() -> None:
    """Looks within a second share one question."""
    looks = Looks()
    for _ in range(5):
        await looks.rate()

    assert looks.count == 1


async def test_offsets_that_were_set_back_are_no_negative_rate() -> None:
    """An operator may have a flow begin again."""
    looks = Looks()
    looks.committed = 50
    await looks.rate()
    looks.clock, looks.committed = 102.0, 0

    assert await looks.rate() == 0
