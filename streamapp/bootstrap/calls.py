"""The routes of an app: its providers with every policy around them, watched and traced."""

from collections.abc import Mapping

from streamapp.bootstrap.costs import Costs
from streamapp.bootstrap.tracing import Untraced
from streamapp.llm.metered import Metered
from streamapp.llm.provider import LLMProvider
from streamapp.llm.providers.factory import build_provider
from streamapp.llm.routing.routes import Routes
from streamapp.running_clock import RunningClock
from streamapp.settings import Settings
from streamapp.telemetry.metrics import Metrics


def build_routes(
    settings: Settings,
    providers: Mapping[str, LLMProvider] | None,
    *,
    costs: Costs,
    metrics: Metrics,
    traced: Untraced,
    running: RunningClock,
) -> Routes:
    """Return what a record's ``model`` can name.

    Args:
        settings: Name providers, models and limits.
        providers: By their configured names; built from the settings where None.
        costs: What shares, prices and budgets calls.
        metrics: Count attempts, and show breakers and what waits for limits.
        traced: Puts a span around each attempt.
        running: Of the process: what it stood still for is nobody's time.

    Raises:
        ConfigurationError: A provider or a route is wrong.
    """
    if providers is None:
        providers = {name: build_provider(name, p) for name, p in settings.providers.items()}
    routes = Routes(
        settings,
        providers,
        economy=costs.economy,
        observed=lambda name, attempt: traced.provider(
            name, Metered(attempt, name=name, meter=metrics, clock=running), costs.economy.prices
        ),
        observer=traced.observer(metrics),
        clock=running,
        running=running,
    )
    for target in routes.targets:
        metrics.expect_calls(*target.split("/", 1))
    metrics.watch_each(
        "breaker_state",
        "0 closed, 1 half open, 2 open: of a provider's worst target.",
        label="provider",
        read=routes.breaker_states,
    )
    metrics.watch_each(
        "rate_limit_waiting",
        "Calls that wait for a limit now.",
        label="provider",
        read=lambda: {name: limits.waiting for name, limits in routes.limits.items()},
    )
    return routes
