"""The documents of the interface: OpenAPI, AsyncAPI, and the page that shows the first."""

import asyncio
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.records import exact_json
from streamapp.web.keys import key_of
from streamapp.web.openapi import Schema
from streamapp.web.pages import Page


def documents(*, openapi: Callable[[], Schema], asyncapi: Callable[[bool], Schema]) -> Blueprint:
    """Return ``/openapi.json``, ``/asyncapi.json`` and ``/docs``.

    ``asyncapi`` is told whether the user's flows belong into it: a key of one tenant does not
    learn which there are.

    A document is made when somebody first asks for it, beside the loop: that takes longer than
    most else of a start.
    """
    blueprint = Blueprint("documents")
    page = Page.load("docs")

    @cache
    def http() -> bytes:
        return exact_json.dumps(openapi())

    @cache
    def topics(with_flows: bool) -> bytes:
        return exact_json.dumps(asyncapi(with_flows))

    async def answer(document: Callable[[], bytes]) -> web.Response:
        body = await asyncio.to_thread(document)
        return web.Response(body=body, content_type="application/json")

    @blueprint.route("/openapi.json", name="openapi")
    class OpenAPI(View):
        """The paths."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            return await answer(http)

    @blueprint.route("/asyncapi.json", name="asyncapi")
    class AsyncAPI(View):
        """The topics."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            return await answer(partial(topics, key_of(request).tenant is None))

    @blueprint.route("/docs", name="docs")
    class Docs(View):
        """The page."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            return page.response()

    return blueprint
