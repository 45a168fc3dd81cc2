"""A fake of all vendors at once: each record gets a quirk of one of them, by its own name.

A record's message is its id; its answer is ``answer to ID`` in one of the vendors' shapes, or a
refusal that is right for it. What a quirk costs in calls is counted as refusals.
"""

import json
import zlib
from collections import Counter
from typing import Any, Self

import orjson
from aiohttp import web

from tests.support.json_response import json_response

REFUSED = {
    "too long": (400, "litellm.ContextWindowExceededError: the prompt of another vendor"),
    "too large": (413, "Request too large for model m, please reduce your message size"),
    "policy": (400, "Content Exists Risk"),
    "moderated": (403, "m requires moderation. Your input was flagged for violence."),
}
#: The dead-letter kind of each.
KINDS = {
    "too long": "context_length",
    "too large": "context_length",
    "policy": "content_filtered",
    "moderated": "content_filtered",
}
WHOLE = ("plain", "parts", "reasoning", "thoughts", "closing tag", "no usage", "extras", "stream")
STREAMED = ("plain", "comments", "no end", "no blanks", "thoughts", "usage alone", "whole", "parts")
#: Quirks of which the first call fails and the second answers.
TWICE = ("error in a 200", "failed half way", "busy")


class FakeVendor:
    """The server; an async context manager that runs it in the current loop."""

    def __init__(self) -> None:
        self.calls = 0
        self.refusals = 0
        self._asked: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        self.calls += 1
        body = orjson.loads(await request.read())
        refused = next((name for name in ("max_tokens", "stream_options") if name in body), None)
        if refused:
            self.refusals += 1
            words = f"Unsupported parameter: '{refused}' is not supported with this model."
            return json_response({"error": {"message": words, "param": refused}}, 400)
        id_ = body["messages"][-1]["content"]
        self._asked[id_] += 1
        quirk = quirk_of(id_, streamed=bool(body.get("stream")))
        if quirk in REFUSED or (quirk in TWICE and self._asked[id_] == 1):
            self.refusals += 1
            return _refusal(quirk)
        text = f"answer to {id_}"
        return _events(text, quirk) if body.get("stream") else _whole(text, quirk)


def quirk_of(id_: str, *, streamed: bool) -> str:
    """Return the quirk of a record; 1 of 20 is refused, 1 of 20 is asked twice."""
    number = zlib.crc32(id_.encode())
    if number % 20 == 0:
        return tuple(REFUSED)[number // 20 % len(REFUSED)]
    if number % 20 == 1:
        return TWICE[number // 20 % len(TWICE)]
    quirks = STREAMED if streamed else WHOLE
    return quirks[number // 20 % len(quirks)]


def _refusal(quirk: str) -> web.Response:
    if quirk in REFUSED:
        status, words = REFUSED[quirk]
        return json_response(
            {"error": {"message": words, "type": None, "code": str(status)}}, status
        )
    if quirk == "error in a 200":
        return json_response({"error": {"message": "upstream is down", "code": 502}})
    if quirk == "busy":
        words = "Service tier capacity exceeded for this model."
        return json_response({"object": "error", "message": words}, 429)
    half = {"content": "answer to some"}
    return json_response({"choices": [{"index": 0, "message": half, "finish_reason": "error"}]})


def _whole(text: str, quirk: str) -> web.Response:
    if quirk == "stream":
        return _events(text, "plain")
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if quirk == "parts":
        message["content"] = [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": text},
        ]
    elif quirk == "reasoning":
        message["reasoning_content"] = "let me see"
    elif quirk == "thoughts":
        message["content"] = f"<think>\nanswer to nothing\n</think>\n\n{text}"
    elif quirk == "closing tag":
        message["content"] = f"let me see\n</think>\n\n{text}"
    answer: dict[str, Any] = {"choices": [{"message": message, "finish_reason": "STOP"}]}
    if quirk != "no usage":
        answer["usage"] = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    if quirk == "extras":
        answer |= {"x_vendor": [1], "error": None, "service_tier": None}
    return json_response(answer)


def _events(text: str, quirk: str) -> web.Response:
    if quirk == "whole":
        return _whole(text, "plain")
    half = len(text) // 2
    contents: list[Any] = [text[:half], text[half:]]
    if quirk == "thoughts":
        contents = ["<th", "ink>hm</thi", "nk>\n\n", *contents]
    if quirk == "parts":
        contents = [[{"type": "text", "text": part}] for part in contents]
    lines = [_chunk({"content": content}) for content in contents]
    lines.append(_chunk({}, "stop"))
    if quirk == "usage alone":
        lines.append('data: {"usage":{"prompt_tokens":3,"completion_tokens":4}}')
    if quirk == "comments":
        lines = [line for one in lines for line in (": keep-alive", one)]
    if quirk != "no end":
        lines.append("data: [DONE]")
    between = "\n" if quirk == "no blanks" else "\n\n"
    body = between.join(lines) + ("" if quirk == "no end" else between)
    return web.Response(body=body.encode(), headers={"content-type": "text/event-stream"})


def _chunk(delta: Any, reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return "data: " + json.dumps({"choices": [choice]})
