"""`/v1/prompts/{name}/stats`: what a prompt's versions came to, summed up over the workers."""

from typing import Any
from urllib.parse import quote

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.prompts.variants import Variant, Variants, merged
from streamapp.web.admission import Admission
from streamapp.web.peers import HOP, Peers


def stats(*, variants: Variants, peers: Peers, admission: Admission) -> Blueprint:
    """Return the view; another worker's question is answered from this one's counts alone."""
    blueprint = Blueprint("prompt_stats")

    @blueprint.route("/v1/prompts/{name}/stats", name="prompt_stats")
    class Stats(View):
        """Tell what each version and label came to."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            admission.check_ready()
            name = request.match_info["name"]
            others: list[Any] = []
            if HOP not in request.headers:
                others = await peers.get_json(f"/v1/prompts/{quote(name, safe='')}/stats")
            theirs = [Variant.from_json(sums) for other in others for sums in other["variants"]]
            found = merged([*variants.of(name), *theirs])
            return web.json_response(
                {
                    "name": name,
                    "workers": 1 + len(others),
                    "variants": [variant.to_json() for variant in found],
                }
            )

    return blueprint
