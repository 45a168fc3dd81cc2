"""`/v1/cache/{fingerprint}`: whether the answer of equal calls is cached; it is not shown."""

import re
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.llm.caching.cache import CacheTier, decode
from streamapp.web.admission import Admission
from streamapp.web.errors import Refusal
from streamapp.web.peers import HOP, Peers

_FINGERPRINT = re.compile(r"[0-9a-f]{32}")


def cache_lookup(*, tiers: Sequence[CacheTier], peers: Peers, admission: Admission) -> Blueprint:
    """Return the view; another worker's question is answered from this one's tiers alone."""
    blueprint = Blueprint("cache")

    @blueprint.route("/v1/cache/{fingerprint}", name="cache")
    class CacheLookup(View):
        """Tell where an answer is kept in the group, and since when."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            admission.check_ready()
            fingerprint = request.match_info["fingerprint"]
            if not _FINGERPRINT.fullmatch(fingerprint):
                raise Refusal(404, "a fingerprint has 32 hexadecimal digits", code="not_cached")
            found = await own(fingerprint)
            if found is None and HOP not in request.headers:
                others = await peers.get_json(f"/v1/cache/{fingerprint}")
                found = next((other for other in others if other), None)
            if found is None:
                raise Refusal(404, "no answer is kept", code="not_cached")
            return web.json_response(found)

    async def own(fingerprint: str) -> dict[str, Any] | None:
        for tier in tiers:
            value = await tier.get(fingerprint)
            if value is not None:
                try:
                    return {"tier": tier.name, "created_at": decode(value)[1]}
                except ValueError:
                    continue  # whoever writes there too
        return None

    return blueprint
