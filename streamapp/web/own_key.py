"""`/v1/key`: the rights of the key that asks, for the dashboard and for its holder."""

from typing import Any

from aiohttp import web
from faust.web import Blueprint, View
from typing_extensions import TypedDict

from streamapp.settings.keys import Scope
from streamapp.web.keys import key_of
from streamapp.web.responses import json_response


class KeyBody(TypedDict):
    """What the key that asks may do; null means everything there is."""

    name: str
    scopes: list[Scope]
    tenant: str | None
    models: list[str] | None
    requests_per_minute: float | None


def own_key() -> Blueprint:
    """Return the view."""
    blueprint = Blueprint("own_key")

    @blueprint.route("/v1/key", name="own_key")
    class OwnKey(View):
        """Tell what this key may do; never the key."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            key = key_of(request)
            return json_response(
                {
                    "name": key.name,
                    "scopes": sorted(key.scopes),
                    "tenant": key.tenant,
                    "models": None if key.models is None else sorted(key.models),
                    "requests_per_minute": key.rate and key.rate.per_minute,
                }
            )

    return blueprint
