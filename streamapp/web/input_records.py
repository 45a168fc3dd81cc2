"""`/v1/flows/{flow}/records/...`: one record of a flow's input, as its producer wrote it."""

from typing import Any, Protocol

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.streaming.flows.input_records import InputRecord
from streamapp.web.admission import Admission
from streamapp.web.errors import Refusal
from streamapp.web.responses import json_response

#: The largest numbers that name a place.
LAST_PARTITION, LAST_OFFSET = 2**31 - 1, 2**62


class RecordSource(Protocol):
    """The inputs of all flows; see ``streaming/flows/input_records.py``."""

    @property
    def flows(self) -> list[str]:
        """The names of the flows."""
        ...

    async def at(self, flow: str, partition: int, offset: int) -> InputRecord | None:
        """Return what stands at a place; None where nothing does."""
        ...


def input_records(*, source: RecordSource, admission: Admission) -> Blueprint:
    """Return the view.

    Args:
        source: Reads the topics.
        admission: Bounds how many look at once, also where this worker is not ready.
    """
    blueprint = Blueprint("input_records")

    @blueprint.route("/v1/flows/{flow}/records/{partition}/{offset}", name="input_record")
    class OneInputRecord(View):
        """Show the record that stands at a place."""

        async def get(
            self, request: web.Request, flow: str, partition: str, offset: str, **kwargs: Any
        ) -> Any:
            if flow not in source.flows:
                raise Refusal(404, "there is no such flow: see /v1/flows", code="not_found")
            async with admission.looking():
                place = _number(partition, LAST_PARTITION), _number(offset, LAST_OFFSET)
                found = await source.at(flow, *place)
            if found is None:
                message = "no record stands there, or not any more: the topic's retention is over"
                raise Refusal(404, message, code="not_found")
            return json_response(found.fields())

    return blueprint


def _number(text: str, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most:
        return int(text)
    raise Refusal(422, f"a place is two numbers from 0 to {most}", code="invalid")
