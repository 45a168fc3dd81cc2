"""JSON as the fake servers send it."""

from typing import Any

import orjson
from aiohttp import web


def json_response(data: Any, status: int = 200) -> web.Response:
    """Return an answer that is JSON."""
    headers = {"content-type": "application/json"}
    return web.Response(body=orjson.dumps(data), status=status, headers=headers)
