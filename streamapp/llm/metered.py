"""Metering: counts every attempt at a provider, and how long it took."""

import time
from collections.abc import Callable
from typing import Protocol

from streamapp.errors import ProviderError
from streamapp.llm.completion import Call, Completion
from streamapp.llm.provider import Completer


class Meter(Protocol):
    """Hears of attempts; see ``telemetry/metrics.py``."""

    def called(self, provider: str, model: str, outcome: str, duration_s: float) -> None:
        """An attempt ended."""
        ...


class Metered:
    """Counts the attempts of ``provider``, cut-off ones included.

    Args:
        name: The configured provider's name.
        clock: Monotonic, seconds.
    """

    def __init__(
        self,
        provider: Completer,
        *,
        name: str,
        meter: Meter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._name = name
        self._meter = meter
        self._clock = clock

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``; raises as the provider."""
        started_at, outcome = self._clock(), "cancelled"
        try:
            completion = await self._provider.complete(call)
            outcome = "ok"
        except ProviderError as error:
            outcome = type(error).__name__
            raise
        except Exception:
            outcome = "error"
            raise
        finally:
            spent_s = self._clock() - started_at
            self._meter.called(self._name, call.model, outcome, spent_s)
        return completion
