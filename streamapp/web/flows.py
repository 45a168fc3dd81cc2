"""`/v1/flows`: every flow with its topics, lag, rate, dead letters and cost."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.streaming.flows.costs import DAY_S
from streamapp.streaming.flows.rates import FlowRates
from streamapp.web.admission import Admission
from streamapp.web.group import Group
from streamapp.web.responses import json_response


def flows(*, rates: FlowRates, group: Group, admission: Admission) -> Blueprint:
    """Return the view.

    Args:
        rates: Ask Kafka.
        group: Knows what each worker has spent.
        admission: Bounds how many look at once, also where this worker is not ready.
    """
    blueprint = Blueprint("flows")

    @blueprint.route("/v1/flows", name="flows")
    class Flows(View):
        """List the flows, the built-in one first."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            async with admission.looking():
                if asking := group.ask():
                    await asyncio.wait({asking})
                found = await rates.now()
            costs, unpriced, counted_s = _costs(group), _unpriced(group), _counted_s(group)
            missing = sum(one["members"] - (one["now"] is not None) for one in group.workers())
            return json_response(
                {
                    "flows": [
                        state.fields(
                            rate_per_s=rate,
                            cost_usd_day=costs.get(
                                state.name, None if unpriced.get(state.name) else Decimal(0)
                            ),
                            unpriced_day=unpriced.get(state.name, 0),
                            cost_counted_s=counted_s,
                        )
                        for state, rate in found
                    ],
                    "missing": missing,
                }
            )

    return blueprint


def _costs(group: Group) -> Mapping[str, Decimal]:
    """Return what each flow has cost all workers that answer."""
    sums: dict[str, Decimal] = {}
    for worker in group.workers():
        for flow, usd in ((worker["now"] or {}).get("flow_cost_usd_day") or {}).items():
            sums[flow] = sums.get(flow, Decimal(0)) + Decimal(usd)
    return sums


def _unpriced(group: Group) -> Mapping[str, int]:
    """Return how many answers of each flow have no known price, of all workers that answer."""
    sums: dict[str, int] = {}
    for worker in group.workers():
        # A worker of an earlier version does not tell.
        for flow, answers in ((worker["now"] or {}).get("flow_unpriced_day") or {}).items():
            sums[flow] = sums.get(flow, 0) + answers
    return sums


def _counted_s(group: Group) -> float | None:
    """Return for how much of the last day all workers that answer have counted, seconds."""
    told = [now["uptime_s"] for worker in group.workers() if (now := worker["now"])]
    return min((DAY_S, *told)) if told else None
