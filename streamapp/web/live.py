"""The streams of the dashboard, and the metrics for Prometheus."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web
from faust.web import Blueprint, View

from streamapp.web.bodies import whole
from streamapp.web.errors import Refusal
from streamapp.web.events import EventStream
from streamapp.web.group import EVERY_S, Group
from streamapp.web.pages import Page
from streamapp.web.peers import HOP
from streamapp.web.responses import json_response

#: Dashboards that may follow at once.
FOLLOWERS = 32
#: Longest wait for the others' first numbers, seconds; after that they come with a later event.
FIRST_S = 0.5

#: The dashboard's scripts beside its own.
PARTS = ("charts", "group", "overview", "outcomes", "flows", "prompts", "tools", "playground")


def live(*, group: Group, metrics: Callable[[], bytes]) -> Blueprint:
    """Return ``/``, ``/v1/live``, ``/v1/workers`` and ``/metrics``."""
    blueprint = Blueprint("live")
    page = Page.load("dashboard", *PARTS)
    places = asyncio.Semaphore(FOLLOWERS)

    @blueprint.route("/", name="dashboard")
    class Dashboard(View):
        """The page; it holds no data."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            return page.response()

    @blueprint.route("/v1/live", name="live")
    class Live(View):
        """Follow the group: ``outcomes`` and ``workers`` every second, ``?count=`` times."""

        async def head(self, request: web.Request, **kwargs: Any) -> Any:
            return web.Response(content_type="text/event-stream")

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            left = whole(request, "count", default=0, most=86_400)
            if places.locked():
                raise Refusal(
                    503, "too many follow already", code="busy", headers={"Retry-After": "5"}
                )
            async with places, EventStream(request) as stream:
                mine = theirs = 0
                if asking := group.ask():
                    await asyncio.wait({asking}, timeout=FIRST_S)
                while True:
                    own = group.own(mine)
                    mine, outcomes = own["last"], own["outcomes"]
                    theirs, more = group.tail(theirs)
                    if outcomes or more:
                        await stream.send(orjson.dumps([*outcomes, *more]), event="outcomes")
                    await stream.send(orjson.dumps(group.workers(own["now"])), event="workers")
                    left -= 1
                    if not left or own["now"]["draining"]:  # a stop waits for nobody who looks on
                        break
                    await asyncio.sleep(EVERY_S)
                    group.ask()
            return await stream.end()

    @blueprint.route("/v1/workers", name="workers")
    class Workers(View):
        """Tell what every worker of the group does; another worker asks for this one's alone."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            if HOP in request.headers:
                return json_response(group.own(whole(request, "after", default=0, most=2**53)))
            if asking := group.ask():
                await asyncio.wait({asking})
            return json_response({"workers": group.workers()})

    @blueprint.route("/metrics", name="metrics")
    class Metrics(View):
        """Everything that is counted, in Prometheus' text format."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            return web.Response(
                body=metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
            )

    return blueprint
