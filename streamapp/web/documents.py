"""The documents of the interface: OpenAPI, AsyncAPI, and the page that shows the first."""

from typing import Any

import orjson
from aiohttp import web
from faust.web import Blueprint, View

from streamapp.web.openapi import Schema
from streamapp.web.pages import Page


def documents(*, openapi: Schema, asyncapi: Schema) -> Blueprint:
    """Return ``/openapi.json``, ``/asyncapi.json`` and ``/docs``."""
    blueprint = Blueprint("documents")
    http, topics, page = orjson.dumps(openapi), orjson.dumps(asyncapi), Page.load("docs")

    @blueprint.route("/openapi.json", name="openapi")
    class OpenAPI(View):
        """The paths."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            return web.Response(body=http, content_type="application/json")

    @blueprint.route("/asyncapi.json", name="asyncapi")
    class AsyncAPI(View):
        """The topics."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            return web.Response(body=topics, content_type="application/json")

    @blueprint.route("/docs", name="docs")
    class Docs(View):
        """The page."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            return page.response()

    return blueprint
