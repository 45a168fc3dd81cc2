"""`/v1/cache/{fingerprint}`: whether the answer of equal calls is cached; it is not shown."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.llm.caching.cache import CacheTier, decode
from streamapp.web.admission import Admission
from streamapp.web.errors import Refusal
from streamapp.web.peers import HOP, Peers

_FINGERPRINT = re.compile(r"[0-9a-f]{32}")


def cache_lookup(
    *, tiers: Sequence[CacheTier], url: Callable[[], str], peers: Peers, admission: Admission
) -> Blueprint:
    """Return the view; another worker's question is answered from this one's tiers alone.

    ``url`` gives this worker's address.
    """
    blueprint = Blueprint("cache")

    @blueprint.route("/v1/cache/{fingerprint}", name="cache")
    class CacheLookup(View):
        """Tell by which workers of the group an answer is kept, where, and since when."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            admission.check_ready()
            fingerprint = request.match_info["fingerprint"]
            if not _FINGERPRINT.fullmatch(fingerprint):
                raise Refusal(404, "a fingerprint has 32 hexadecimal digits", code="not_cached")
            found = await own(fingerprint)
            if HOP not in request.headers:
                for other in await peers.get_json(f"/v1/cache/{fingerprint}"):
                    found += other.get("workers", ()) if isinstance(other, dict) else ()
            if not found:
                raise Refusal(404, "no answer is kept", code="not_cached")
            first = found[0]
            return web.json_response(
                {"tier": first["tier"], "created_at": first["created_at"], "workers": found}
            )

    async def own(fingerprint: str) -> list[dict[str, Any]]:
        for tier in tiers:
            value = await tier.get(fingerprint)
            if value is not None:
                try:
                    created_at = decode(value)[1]
                except ValueError:
                    continue  # whoever writes there too
                return [{"url": url(), "tier": tier.name, "created_at": created_at}]
        return []

    return blueprint
