"""What the dashboard follows, and what Prometheus scrapes."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import orjson
from aiohttp import web
from faust.web import Blueprint, View

from streamapp.web.errors import Refusal
from streamapp.web.events import EventStream
from streamapp.web.pages import Page

#: Seconds between two snapshots, and dashboards that may follow at once.
EVERY_S, FOLLOWERS = 1.0, 32


class Snapshots(Protocol):
    """The worker's state; see ``streaming/snapshot.py``."""

    def static(self) -> dict[str, Any]:
        """Return what does not change while the worker runs."""
        ...

    def now(self) -> dict[str, Any]:
        """Return the numbers now."""
        ...

    def tail(self, after: int) -> tuple[int, list[dict[str, Any]]]:
        """Return the outcomes after a number, and the last number."""
        ...


def live(*, snapshots: Snapshots, metrics: Callable[[], bytes]) -> Blueprint:
    """Return ``/``, ``/v1/live`` and ``/metrics``."""
    blueprint = Blueprint("live")
    page = Page.load("dashboard")
    places = asyncio.Semaphore(FOLLOWERS)

    @blueprint.route("/", name="dashboard")
    class Dashboard(View):
        """The page; it holds no data."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            return page.response()

    @blueprint.route("/v1/live", name="live")
    class Live(View):
        """Follow this worker: ``worker`` once, then ``now`` and ``outcomes`` every second."""

        async def head(self, request: web.Request, **kwargs: Any) -> Any:
            return web.Response(content_type="text/event-stream")

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            if places.locked():
                raise Refusal(
                    503, "too many follow already", code="busy", headers={"Retry-After": "5"}
                )
            async with places, EventStream(request) as stream:
                await stream.send(orjson.dumps(snapshots.static()), event="worker")
                last = 0
                while True:
                    last, outcomes = snapshots.tail(last)
                    if outcomes:
                        await stream.send(orjson.dumps(outcomes), event="outcomes")
                    now = snapshots.now()
                    await stream.send(orjson.dumps(now), event="now")
                    if now["draining"]:  # a stopping worker waits for nobody who looks on
                        break
                    await asyncio.sleep(EVERY_S)
            return await stream.end()

    @blueprint.route("/metrics", name="metrics")
    class Metrics(View):
        """Everything that is counted, in Prometheus' text format."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            return web.Response(
                body=metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
            )

    return blueprint
