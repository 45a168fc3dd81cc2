"""`/v1/dead-letters`: the failed records, and their replay."""

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

from aiohttp import web
from faust.web import Blueprint, View
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from streamapp.kinds import Kind
from streamapp.processors.request_handler import RequestHandler
from streamapp.records.framing import without_mark
from streamapp.records.problems import near
from streamapp.records.timestamps import parse_timestamp
from streamapp.records.whole import WHOLE
from streamapp.settings.flows import REQUESTS
from streamapp.streaming.dead_letters.service import DeadLetterService
from streamapp.streaming.dead_letters.stored import Filter
from streamapp.web.admission import Admission
from streamapp.web.bodies import read
from streamapp.web.errors import Refusal
from streamapp.web.keys import key_of
from streamapp.web.responses import json_response
from streamapp.web.tenancy import owned, owned_bytes

#: Dead letters listed, and sent again, at once.
LISTED, REPLAYED = 200, 1_000


class DeadLetterPlace(BaseModel):
    """Where a dead letter stands on its topic."""

    model_config = ConfigDict(extra="forbid")

    partition: Annotated[int, Field(ge=0, le=2**31 - 1), WHOLE]
    offset: Annotated[int, Field(ge=0, le=2**62), WHOLE]


class ReplayBody(BaseModel):
    """Which dead letters to send again, and how fast."""

    model_config = ConfigDict(extra="forbid")

    places: list[DeadLetterPlace] = Field(min_length=1, max_length=REPLAYED)
    flow: str = REQUESTS
    rate_per_s: float = Field(default=50, gt=0, le=1_000, allow_inf_nan=False)


class EditBody(BaseModel):
    """One dead letter of the requests, and the record that is sent in place of the one there."""

    model_config = ConfigDict(extra="forbid")

    place: DeadLetterPlace
    record: str = Field(min_length=1)


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
    replayed: bool
    record: str | None


class DeadLetterList(TypedDict):
    """The newest dead letters, newest first.

    Of ``looked_at`` records ``foreign`` ones were no dead letters of ours. Only the newest of
    each partition are looked at; ``complete`` tells whether those were all. A key of one tenant
    does not learn how many others have: ``looked_at`` are its own, ``complete`` is false.
    """

    dead_letters: list[DeadLetterBody]
    looked_at: int
    foreign: int
    complete: bool


class Replayed(TypedDict):
    """What became of one place."""

    partition: int
    offset: int
    result: Literal["sent", "replayed", "missing", "foreign", "omitted", "looping", "undelivered"]


class SentTo(TypedDict):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


class EditResult(TypedDict):
    """What became of the corrected record; ``sent_to`` is null where it was not sent."""

    result: Literal["sent", "replayed", "missing", "foreign", "omitted", "undelivered"]
    sent_to: SentTo | None


class ReplayResults(TypedDict):
    """What became of each place, in the order of the body."""

    results: list[Replayed]


def dead_letters(
    *,
    source: DeadLetterService,
    handler: RequestHandler,
    admission: Admission,
    longest_s: float,
    now: Callable[[], float] = time.time,
) -> Blueprint:
    """Return the views.

    Args:
        source: The topic.
        handler: Checks corrected records before they are sent.
        admission: Says whether this worker is ready.
        longest_s: How long a replay may take, seconds.
        now: Wall clock, seconds since the epoch.
    """
    blueprint = Blueprint("dead_letters")

    @blueprint.route("/v1/dead-letters", name="dead_letters")
    class List(View):
        """List the newest ones that fit the parameters."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            # Also where this worker is not ready: then somebody wants to know why.
            query, tenant = request.query, key_of(request).tenant
            flow = _flow(query.get("flow", REQUESTS), source, tenant)
            wanted = Filter(
                kinds=_kinds(request),
                types=[type for type in query.getall("type", []) if type],
                ids=[id for id in query.getall("id", []) if id],
                text=query.get("q", ""),
                since=_time(request, "since", now()),
                until=_time(request, "until", now()),
                tenant=tenant,
            )
            limit = _limit(request)
            async with admission.looking():
                found = await source.newest(wanted, limit=limit, flow=flow)
            return json_response(
                {
                    "dead_letters": found.dead_letters,
                    # How many others have is not for a key of one tenant.
                    "looked_at": len(found.dead_letters) if tenant else found.seen.records,
                    "foreign": 0 if tenant else found.seen.foreign,
                    "complete": found.seen.is_whole and not tenant,
                }
            )

    @blueprint.route("/v1/dead-letters/replay", name="dead_letters_replay")
    class ReplayThem(View):
        """Send them again."""

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            admission.check_ready()
            body = read(ReplayBody, await admission.read(request))
            key = key_of(request)
            places = list(dict.fromkeys((place.partition, place.offset) for place in body.places))
            if len(places) / body.rate_per_s > longest_s:
                message = f"takes longer than {longest_s:g} s: send fewer at once, or faster"
                raise Refusal(422, message, code="invalid", param="rate_per_s")
            key.spend(len(places) - 1)
            async with admission.looking():
                results = await source.replay(
                    places,
                    rate_per_s=body.rate_per_s,
                    tenant=key.tenant,
                    flow=_flow(body.flow, source, key.tenant),
                )
            return json_response(
                {
                    "results": [
                        {"partition": partition, "offset": offset, "result": result}
                        for (partition, offset), result in results.items()
                    ]
                }
            )

    @blueprint.route("/v1/dead-letters/edit", name="dead_letters_edit")
    class EditOne(View):
        """Send a corrected record in the place of one, with its key and headers."""

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            admission.check_ready()
            body, key = read(EditBody, await admission.read(request)), key_of(request)
            value = without_mark(body.record.encode())
            admission.check(owned(handler.decode(value), key))
            async with admission.looking():
                place = body.place.partition, body.place.offset
                result, sent = await source.instead(
                    place, owned_bytes(value, key), tenant=key.tenant
                )
            sent_to = sent and {
                "topic": sent.topic,
                "partition": sent.partition,
                "offset": sent.offset,
            }
            return json_response({"result": result, "sent_to": sent_to})

    return blueprint


def _flow(name: str, source: DeadLetterService, tenant: str | None) -> str:
    """Return the name of a flow; which others there are is not for a key of one tenant."""
    if name not in source.flows:
        others = "" if tenant else f"; there are {', '.join(source.flows)}"
        message = f"flow: there is no such flow{others}"
        raise Refusal(422, message, code="invalid", param="flow")
    return name


def _kinds(request: web.Request) -> list[str]:
    kinds = [kind for kind in request.query.getall("kind", []) if kind]
    for kind in kinds:
        if kind not in set(Kind):
            message = f"kind: there is no such kind{near(kind, Kind)}; there are {', '.join(Kind)}"
            raise Refusal(422, message, code="invalid", param="kind")
    return kinds


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", "50")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= LISTED):
        message = f"limit: must be a number from 1 to {LISTED}"
        raise Refusal(422, message, code="invalid", param="limit")
    return int(text)


def _time(request: web.Request, name: str, now: float) -> float | None:
    text = request.query.get(name)
    try:
        return parse_timestamp(text, now=now) if text else None
    except ValueError as error:
        raise Refusal(422, f"{name}: {error}", code="invalid", param=name) from None
