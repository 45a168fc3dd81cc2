"""`/v1/history`: the last hour of the group's workers, for who opens the dashboard afterwards."""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.streaming.app.history import SnapshotHistory
from streamapp.web.peers import HOP, Peers
from streamapp.web.responses import json_response


def history_of(*, history: SnapshotHistory, url: Callable[[], str], peers: Peers) -> Blueprint:
    """Return the view; ``url`` gives this worker's address."""
    blueprint = Blueprint("history")

    @blueprint.route("/v1/history", name="history")
    class OfHour(View):
        """Tell what every worker did in the last hour; another worker asks for this one's alone."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            own = {
                "url": url(),
                "seconds": list(history.seconds),
                "minutes": list(history.minutes),
            }
            workers = [own]
            if HOP not in request.headers:
                for body in await peers.get_json("/v1/history"):
                    workers += body["workers"] if isinstance(body, dict) else []
            return json_response({"workers": workers})

    return blueprint
