"""JSON responses, whose integers keep their digits."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from streamapp.records import exact_json


def json_response(
    body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return ``body`` as a response."""
    return web.Response(
        body=exact_json.dumps(body),
        status=status,
        content_type="application/json",
        headers=headers,
    )
