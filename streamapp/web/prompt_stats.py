"""`/v1/prompts/{name}/stats`: the results of a prompt's versions, summed over the workers."""

from itertools import chain
from typing import Any
from urllib.parse import quote

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.prompts.variants import Variant, Variants, merged
from streamapp.web.admission import Admission
from streamapp.web.peers import HOP, Peers
from streamapp.web.prompts import PromptStore, known_prompt, named_prompt


def stats(
    *, store: PromptStore, variants: Variants, peers: Peers, admission: Admission
) -> Blueprint:
    """Return the view; another worker's question is answered from this one's counts alone."""
    blueprint = Blueprint("prompt_stats")

    @blueprint.route("/v1/prompts/{name}/stats", name="prompt_stats")
    class Stats(View):
        """Return the results of each version and label."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            admission.check_ready()
            name = named_prompt(request)
            counts: list[list[Variant] | None] = [variants.of(name)]
            if HOP not in request.headers:
                path = f"/v1/prompts/{quote(name, safe='')}/stats"
                counts += [_variants(body) for body in await peers.get_json(path)]
            heard = [found for found in counts if found is not None]
            if HOP not in request.headers and not any(heard):
                known_prompt(store, name)
            return web.json_response(
                {
                    "name": name,
                    "workers": len(heard),
                    "missing": len(counts) - len(heard),
                    "variants": [one.to_json() for one in merged(chain.from_iterable(heard))],
                }
            )

    return blueprint


def _variants(body: Any | None) -> list[Variant] | None:
    """Return what another worker counted; None where it did not answer, or as none of ours."""
    try:
        return None if body is None else [Variant.from_json(sums) for sums in body["variants"]]
    except (ArithmeticError, LookupError, TypeError):
        return None
