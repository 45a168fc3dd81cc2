"""`/v1/requests`: records produced over HTTP, and the status of any record's id."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import orjson
from aiohttp import web
from faust.web import Blueprint, View

from streamapp.errors import DeliveryFailed, Failure, InvalidRecord
from streamapp.processors.request_handler import RequestHandler
from streamapp.records import exact_json
from streamapp.records.codec import parse
from streamapp.records.framing import without_mark
from streamapp.records.request import ID_LIMIT
from streamapp.streaming.delivery.ledger_entry import digest
from streamapp.streaming.delivery.request_producer import RequestProducer
from streamapp.streaming.delivery.request_status import RequestStatus, Status, merged
from streamapp.web.admission import Admission
from streamapp.web.bodies import LINES
from streamapp.web.errors import Refusal
from streamapp.web.generate import with_type
from streamapp.web.keys import Key, key_of
from streamapp.web.peers import HOP, Peers
from streamapp.web.responses import json_response
from streamapp.web.tenancy import own_id, own_key, owned, owned_bytes

#: Pauses between two looks while a caller waits, seconds: at this worker, and at the others.
POLL_INTERVAL_S, ASK_S = 0.02, 0.5

OTHER_CONTENT = "id: was used before for a record with other content; use a new id"


@dataclass(frozen=True, slots=True)
class PreparedRecord:
    """A record that may be written.

    Attributes:
        id: Of it.
        value: Its bytes, the id among them.
        is_named: Whether the caller has given the id, so that it may have been used before.
    """

    id: str
    value: bytes
    is_named: bool = True

    @property
    def status(self) -> RequestStatus:
        """What is known of it once it is written."""
        return RequestStatus(status=Status.PENDING, digest=digest(self.value))

    def check_against(self, known: RequestStatus) -> None:
        """Look at what is known of its id; a dead record may come again with other content.

        Raises:
            InvalidRecord: A record of other content is answered, or on its way.
        """
        is_taken = known.status in (Status.OK, Status.PENDING) and known.digest is not None
        if is_taken and known.digest != digest(self.value):
            raise InvalidRecord(OTHER_CONTENT)


def requests(
    *,
    handler: RequestHandler,
    admission: Admission,
    producer: RequestProducer,
    peers: Peers,
    longest_wait_s: float,
) -> Blueprint:
    """Return the views.

    Args:
        handler: Checks records before they are written.
        admission: Says whether this worker is ready.
        producer: Writes them.
        peers: Know what became of records of other workers' partitions.
        longest_wait_s: Upper bound of ``?wait=``, seconds.
    """
    blueprint = Blueprint("requests")

    @blueprint.route("/v1/requests", name="requests")
    class Requests(View):
        """Write one record, or a record per line."""

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            admission.check_ready()
            wait_s = _wait_s(request, longest_wait_s)
            given_id, caller = _given_id(request), key_of(request)
            key = _key(request, caller)
            body = await admission.read(request)
            if request.content_type in LINES:
                if wait_s:
                    raise InvalidRecord("wait: is for one record; ask for each id of a batch")
                records = batch(body, given_id, caller)
                caller.spend(len(records) - 1)
                await asyncio.gather(*(written(record, key) for record in records))
                ids = [record.id for record in records]
                return json_response({"ids": ids, "status": "pending"}, status=202)
            record = prepared(body, given_id, caller)
            if record.is_named:
                record.check_against(await found(record.id, 0))
                record.check_against(producer.known(record.id))  # posted here meanwhile
            await written(record, key)
            known = RequestStatus(status=Status.PENDING)
            if wait_s:
                # Somebody may have written the id at another worker since.
                record.check_against(known := await found(record.id, wait_s))
            return _answer(record.id, known, pending=202)

    @blueprint.route("/v1/requests/{id}", name="request")
    class OneRequest(View):
        """Tell what became of a record, whichever worker has it."""

        async def get(self, request: web.Request, id: str, **kwargs: Any) -> Any:
            caller = key_of(request)
            id = own_id(id, caller)
            # What another worker is told holds the offsets of all: no key of one tenant is its.
            if HOP in request.headers and caller.tenant is None:
                known = producer.known(id)
                return _answer(id, known, pending=200, headers=known.headers())
            return _answer(id, await found(id, _wait_s(request, longest_wait_s)), pending=200)

    def prepared(body: bytes, given_id: str | None, caller: Key) -> PreparedRecord:
        """Return what is written for a body.

        Raises:
            Failure: It is none that a worker could answer.
        """
        value = without_mark(with_type(body))
        record = owned(handler.decode(value), caller)
        value = owned_bytes(value, caller)
        given_id = None if given_id is None else own_id(given_id, caller)
        admission.check(record)
        if record.id is not None:
            if given_id not in (None, record.id):
                raise InvalidRecord("field 'id' and Idempotency-Key differ: send one of them")
            return PreparedRecord(record.id, value)
        id = given_id if given_id is not None else own_id(f"http-{uuid4().hex}", caller)
        if not 1 <= len(id) <= ID_LIMIT:
            raise InvalidRecord(f"Idempotency-Key: must have 1 to {ID_LIMIT} characters")
        return PreparedRecord(id, with_id(value, id), is_named=given_id is not None)

    def batch(body: bytes, given_id: str | None, caller: Key) -> Sequence[PreparedRecord]:
        """Return what is written for each line; nothing is where one is wrong.

        Other workers are not asked after their ids: that would be a question for each line.
        """
        records, firsts = [], dict[str, PreparedRecord]()
        for number, line in enumerate(body.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                record = prepared(line, f"{given_id}-{number}" if given_id else None, caller)
                record.check_against(firsts.setdefault(record.id, record).status)
                record.check_against(producer.known(record.id))
                records.append(record)
            except Failure as failure:
                raise type(failure)(f"line {number}: {failure}") from None
        if not records:
            raise InvalidRecord("the batch is empty: send one record a line")
        return records

    async def written(record: PreparedRecord, key: bytes | None) -> None:
        try:
            await producer.post(record.value, id=record.id, key=key)
        except DeliveryFailed as error:
            headers = {"Retry-After": "5"}
            raise Refusal(503, str(error), code="not_delivered", headers=headers) from error

    async def found(id: str, wait_s: float) -> RequestStatus:
        """Ask here, then everywhere; again until it is finished or the time is up.

        A worker that stops waits for what it runs itself alone: by the id the others may be asked.
        """
        loop = asyncio.get_running_loop()
        end, next_ask = loop.time() + wait_s, 0.0
        while True:
            is_last_look = admission.is_stopping and not producer.runs(id)
            known = producer.known(id)
            if known.status is not Status.OK and loop.time() >= next_ask:
                known = merged([known, *await peers.ask(id)])
                next_ask = loop.time() + ASK_S
            left_s = end - loop.time()
            if known.status in (Status.OK, Status.DEAD) or left_s <= 0 or is_last_look:
                return known
            await asyncio.sleep(min(POLL_INTERVAL_S, left_s))

    return blueprint


def with_id(value: bytes, id: str) -> bytes:
    """Return the bytes of a record with its id among them; they are only added to where they can.

    Args:
        value: A well-formed record whose id is absent or null.
        id: For it.
    """
    fields = parse(value)
    if "id" in fields:
        return exact_json.dumps(fields | {"id": id})
    return b'{"id":%b,%b' % (orjson.dumps(id), value.lstrip()[1:])


def _answer(
    id: str, known: RequestStatus, *, pending: int, headers: Mapping[str, str] | None = None
) -> web.Response:
    where = {"Location": f"/v1/requests/{quote(id, safe='')}", **(headers or {})}
    match known.status:
        case Status.OK:
            return web.Response(body=known.body, content_type="application/json", headers=where)
        case Status.DEAD:
            return json_response({"id": id, "status": "dead", "kind": known.kind}, headers=where)
        case Status.PENDING:
            body: dict[str, Any] = {"id": id, "status": "pending"}
            if known.steps:
                body["steps"] = list(known.steps)
            return json_response(body, status=pending, headers=where)
        case _:
            refusal = Refusal(404, "no worker knows this id", code="not_found", headers=headers)
            return refusal.response


def _wait_s(request: web.Request, longest_s: float) -> float:
    try:
        wait_s = float(request.query.get("wait", "0"))
    except ValueError:
        wait_s = math.nan
    if not 0 <= wait_s < math.inf:
        raise Refusal(422, "wait: must be seconds, 0 or more", code="invalid", param="wait")
    return min(wait_s, longest_s)


def _given_id(request: web.Request) -> str | None:
    """Return what stands in ``Idempotency-Key``; a header may hold any bytes, an id is text."""
    id = request.headers.get("Idempotency-Key")
    try:
        is_id = id is None or 1 <= len(id.encode().decode()) <= ID_LIMIT
    except UnicodeEncodeError:
        is_id = False
    if not is_id:
        raise InvalidRecord(f"Idempotency-Key: must have 1 to {ID_LIMIT} characters in UTF-8")
    return id


def _key(request: web.Request, caller: Key) -> bytes | None:
    key = request.headers.get("Streamapp-Key")
    return None if key is None else own_key(key.encode(errors="surrogateescape"), caller)
