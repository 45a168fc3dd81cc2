"""`/v1/dead-letters`: what failed, and sending it again once the cause is gone."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import orjson
from aiohttp import web
from faust.web import Blueprint, View
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from streamapp.streaming.dead_letters import Filter
from streamapp.web.admission import Admission
from streamapp.web.bodies import read
from streamapp.web.errors import Refusal

#: Dead letters listed, and sent again, at once.
LISTED, REPLAYED = 200, 1_000


class Place(BaseModel):
    """Where a dead letter stands on its topic."""

    model_config = ConfigDict(extra="forbid")

    partition: int = Field(ge=0, le=2**31 - 1)
    offset: int = Field(ge=0, le=2**62)


class Replay(BaseModel):
    """Which dead letters to send again, and how fast."""

    model_config = ConfigDict(extra="forbid")

    places: list[Place] = Field(min_length=1, max_length=REPLAYED)
    rate_per_s: float = Field(default=50, gt=0, le=1_000, allow_inf_nan=False)


class DeadLetterBody(TypedDict):
    """One dead letter."""

    partition: int
    offset: int
    at: float
    id: str | None
    type: str | None
    kind: str | None
    stage: str | None
    message: str | None
    attempts: int
    replays: int
    record: str | None


class DeadLetterList(TypedDict):
    """The newest dead letters, newest first."""

    dead_letters: list[DeadLetterBody]


class Replayed(TypedDict):
    """What became of one place."""

    partition: int
    offset: int
    result: Literal["sent", "missing", "foreign", "omitted", "looping", "undelivered"]


class ReplayResults(TypedDict):
    """What became of each place, in the order of the body."""

    results: list[Replayed]


class Letters(Protocol):
    """The topic; see ``streaming/dead_letters.py``."""

    async def newest(self, wanted: Filter, *, limit: int) -> list[dict[str, Any]]:
        """Return the newest dead letters that are meant."""
        ...

    async def replay(
        self, places: Sequence[tuple[int, int]], *, rate_per_s: float
    ) -> dict[tuple[int, int], str]:
        """Send records again; return what became of each."""
        ...


def dead_letters(*, letters: Letters, admission: Admission) -> Blueprint:
    """Return the views."""
    blueprint = Blueprint("dead_letters")

    @blueprint.route("/v1/dead-letters", name="dead_letters")
    class List(View):
        """List the newest ones by ``kind``, ``type``, ``id``, ``q`` (any text) and ``limit``."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            admission.check_ready()
            query = request.query
            wanted = Filter(
                kind=query.get("kind") or None,
                type=query.get("type") or None,
                id=query.get("id") or None,
                text=query.get("q", ""),
            )
            async with admission.looking():
                found = await letters.newest(wanted, limit=_limit(request))
            return _json({"dead_letters": found})

    @blueprint.route("/v1/dead-letters/replay", name="dead_letters_replay")
    class ReplayThem(View):
        """Send them again."""

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            admission.check_ready()
            body = read(Replay, await admission.read(request))
            places = list(dict.fromkeys((place.partition, place.offset) for place in body.places))
            async with admission.looking():
                results = await letters.replay(places, rate_per_s=body.rate_per_s)
            return _json(
                {
                    "results": [
                        {"partition": partition, "offset": offset, "result": result}
                        for (partition, offset), result in results.items()
                    ]
                }
            )

    return blueprint


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", "50")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= LISTED):
        message = f"limit: must be a number from 1 to {LISTED}"
        raise Refusal(422, message, code="invalid", param="limit")
    return int(text)


def _json(body: Any) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")
