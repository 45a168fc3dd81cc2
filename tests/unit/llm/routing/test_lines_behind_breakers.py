"""Calls that wait for a limit while their breaker opens."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from streamapp.errors import Failure, ProviderUnavailable, RateLimited
from streamapp.llm.completion import Call, Completion
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeProvider
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat

#: Seconds for which everything is refused.
AWAY_S = 15.0


class Away(FakeProvider):
    """Fails with ``failure`` for `AWAY_S` once `leave` was called."""

    def __init__(self, failure: Callable[..., Failure]) -> None:
        super().__init__()
        self.failure = failure
        self.back_at = 0.0
        self.answered_at: list[float] = []

    def leave(self) -> None:
        self.back_at = virtual_clock() + AWAY_S

    async def complete(self, call: Call) -> Completion:
        await asyncio.sleep(0.05)
        if virtual_clock() < self.back_at:
            raise self.failure("away", provider="fake")
        self.answered_at.append(virtual_clock())
        return await super().complete(call)


@pytest.mark.parametrize("count", [24, 256])
@pytest.mark.parametrize("before", [0, 20], ids=["nothing known", "answers before"])
@pytest.mark.parametrize(
    ("failure", "limits"),
    [
        (RateLimited, {}),
        (partial(RateLimited, retry_after_s=1.0), {}),
        (RateLimited, {"max_concurrency": 60}),
        (ProviderUnavailable, {"requests_per_minute": 20, "burst_s": 1}),
    ],
    ids=["refusals", "refusals with a wish", "refusals in few places", "failures behind a limit"],
)
def test_what_waits_ahead_of_a_probe_uses_no_turn_up(
    failure: Callable[..., Failure], limits: dict[str, Any], before: int, count: int
) -> None:
    """A call that finds its breaker open in its turn leaves that to the next one.

    At the lowest rate two dozen of them kept the probe waiting for more than a minute.
    """

    async def main() -> None:
        provider = Away(failure)
        settings = Settings(
            _env_file=None,
            providers={
                "fake": ProviderSettings(kind="openai", base_url="http://127.0.0.1/v1", **limits)
            },
            models={"default": ModelSettings(targets=["fake/m"])},
        )
        route = Routes(settings, {"fake": provider}, clock=virtual_clock).resolve(None)
        await asyncio.gather(*(route.complete(chat(f"before {n}")) for n in range(before)))
        provider.answered_at.clear()
        provider.leave()

        await asyncio.gather(*(route.complete(chat(str(n))) for n in range(count)))

        assert provider.answered_at[0] - provider.back_at < 10
        assert len(provider.answered_at) == count

    run_virtually(main())
