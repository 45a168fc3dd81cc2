"""The events of a streamed response, in OpenAI's order."""

from typing import Any, cast

from streamapp.errors import Failure
from streamapp.llm.chunks import CallDelta
from streamapp.records import exact_json
from streamapp.records.response import Response
from streamapp.web.errors import failure_body, failure_status
from streamapp.web.events import ChunksSent, EventStream
from streamapp.web.openai.calls_sent import CallsSent
from streamapp.web.openai.chat_answer import text_of
from streamapp.web.openai.responses.answer import (
    CallItem,
    MessageItem,
    ResponseObject,
    answered_object,
    call_item,
    item_id,
    logprobs_of,
    message_item,
    status,
    text_part,
)


class ResponseEvents:
    """Sends one response while it is written.

    A message is ended by the first call. Calls stay open until the end: a provider may write
    several side by side.

    Args:
        stream: Where to.
        asked: The response before there is an answer.
        on_hit: Called before the first event of an answer that another call paid for.
    """

    def __init__(self, stream: EventStream, asked: ResponseObject, *, on_hit: Any) -> None:
        self._stream = stream
        self._asked = asked
        self._number = 0
        self._items: list[MessageItem | CallItem] = []
        self._text: list[str] | None = None  # of the message that is open
        self._arguments: dict[int, list[str]] = {}  # by the place of the item
        self._places: dict[int, int] = {}  # of calls among the items
        self._calls = CallsSent()
        self.sent = ChunksSent(self._send_text, send_call=self._send_call, on_hit=on_hit)

    async def end(self, response: Response) -> None:
        """Send what was not sent while it was written, and the end."""
        text, calls = text_of(response.output), response.tool_calls or ()
        if not self.sent.any and (text or not calls):
            await self._send_text(text)
        for delta in self._calls.rest(calls):
            await self._send_call(delta)
        await self._end_message(response)
        for place in self._places.values():
            await self._end_call(place)
        whole = answered_object(self._asked, response, self._items)
        await self._event(f"response.{whole['status']}", response=whole)

    def failed(self, failure: Failure) -> list[tuple[str, bytes]]:
        """Return the last events of a response that breaks off."""
        error = failure_body(failure)["error"]
        code = {429: "rate_limit_exceeded"}.get(failure_status(failure), "server_error")
        message = error["message"] or ""
        whole: ResponseObject = {
            **self._asked,
            "status": "failed",
            "error": {"code": code, "message": message},
            "output": self._items,
        }
        fields = {name: error[name] for name in ("code", "message", "param")}
        return [
            self._written("error", **fields, error=error),
            self._written("response.failed", response=whole),
        ]

    async def _send_text(self, text: str) -> None:
        await self._begin()
        if self._text is None:
            self._text = []
            place = len(self._items)
            item = message_item(item_id("msg", self._asked["id"], place), None, "in_progress")
            self._items.append(item)
            await self._event("response.output_item.added", output_index=place, item=item)
            await self._event("response.content_part.added", part=text_part(""), **self._part())
        if text:
            self._text.append(text)
            await self._event("response.output_text.delta", delta=text, logprobs=[], **self._part())

    async def _end_message(self, response: Response | None = None) -> None:
        if self._text is None:
            return
        text, self._text = "".join(self._text), None
        # Log probabilities come with the end of an answer; calls end the text before it.
        logprobs = logprobs_of(response.logprobs) if response else []
        where, part = self._part(), text_part(text, logprobs)
        await self._event("response.output_text.done", text=text, logprobs=logprobs, **where)
        await self._event("response.content_part.done", part=part, **where)
        place = where["output_index"]
        state = status(response) if response else "completed"
        item = self._items[place] = message_item(where["item_id"], text, state, logprobs)
        await self._event("response.output_item.done", output_index=place, item=item)

    async def _send_call(self, delta: CallDelta) -> None:
        await self._begin()
        self._calls.note(delta)
        if delta.index not in self._places:
            await self._end_message()
            place = self._places[delta.index] = len(self._items)
            self._arguments[place] = []
            own = item_id("fc", self._asked["id"], place)
            item = call_item(own, delta.id, delta.name, "", "in_progress", extra=delta.extra)
            self._items.append(item)
            await self._event("response.output_item.added", output_index=place, item=item)
        elif delta.extra:
            place = self._places[delta.index]
            began = cast(CallItem, self._items[place])
            self._items[place] = {**began, "extra_content": dict(delta.extra)}
        if delta.arguments:
            place = self._places[delta.index]
            self._arguments[place].append(delta.arguments)
            await self._event(
                "response.function_call_arguments.delta",
                item_id=self._items[place]["id"],
                output_index=place,
                delta=delta.arguments,
            )

    async def _end_call(self, place: int) -> None:
        began, arguments = self._items[place], "".join(self._arguments[place])
        item: CallItem = {**began, "arguments": arguments, "status": "completed"}  # type: ignore[typeddict-item]
        self._items[place] = item
        await self._event(
            "response.function_call_arguments.done",
            item_id=item["id"],
            output_index=place,
            name=item["name"],
            arguments=arguments,
        )
        await self._event("response.output_item.done", output_index=place, item=item)

    async def _begin(self) -> None:
        if not self._number:
            await self._event("response.created", response=self._asked)
            await self._event("response.in_progress", response=self._asked)

    def _part(self) -> dict[str, Any]:
        """Return where the text of the newest item stands."""
        place = len(self._items) - 1
        return {"item_id": self._items[place]["id"], "output_index": place, "content_index": 0}

    async def _event(self, type: str, **fields: Any) -> None:
        name, data = self._written(type, **fields)
        await self._stream.send(data, event=name)

    def _written(self, type: str, **fields: Any) -> tuple[str, bytes]:
        number, self._number = self._number, self._number + 1
        return type, exact_json.dumps({"type": type, "sequence_number": number, **fields})
