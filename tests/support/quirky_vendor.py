"""A fake of one vendor, made of its shapes: all of its quirks together, at random."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any, Self

import orjson
from aiohttp import web

from streamapp import errors
from tests.unit.llm.providers.vendors import SHAPES
from tests.unit.llm.providers.vendors.shape import Reply, Shape, ok

VENDORS = tuple(dict.fromkeys(shape.vendor for shape in SHAPES))
PLAIN = Shape(
    vendor="any",
    kind="stream",
    name="plain",
    source="",
    seen="",
    replies=[ok()],
    right="hello",
)
#: What is no quirk of a record, but a state of the account: it passes, and is rare.
STATES = frozenset({"key", "model", "address", "quota", "busy", "server down"})
#: Answers that fail on the way, and are good when asked again.
BROKEN = ("AnswerBroken", "ProviderUnavailable")


class QuirkyVendor:
    """A server that plays the shape of each record; an async context manager.

    A parameter that it does not take is refused in whatever request has it.
    """

    def __init__(self, shapes: Sequence[Shape]) -> None:
        kind = shapes[0].provider
        quirks = [
            passing(shape) if shape.right in BROKEN else shape
            for shape in shapes
            if shape.kind not in STATES
        ]
        self._quirks = [*quirks, replace(PLAIN, provider=kind, replies=[good(kind)])]
        self._states = [passing(shape) for shape in shapes if shape.kind in STATES]
        self._asked: Counter[int] = Counter()
        self._refused: dict[str, list[Any]] = {}
        self.calls = self.refusals = self.wasted = 0

    def shape_of(self, number: int) -> Shape:
        rng = Random(number)
        if self._states and rng.random() < 0.01:
            return rng.choice(self._states)
        return rng.choice(self._quirks)

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        self.root_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        raw = await request.read()
        match = re.search(rb"r-(\d+)", raw)
        assert match is not None
        number = int(match[1])
        shape = self.shape_of(number)
        place = self._place(number, shape, raw)
        reply = shape.replies[place]
        is_last = place == len(shape.replies) - 1
        self.calls += 1
        self.refusals += not is_last or str(shape.right) in KINDS
        body = (reply.body or orjson.dumps(reply.json)).replace(b"hello", b"hello %d" % number)
        headers = {"content-type": "application/json", **reply.headers}
        return web.Response(body=body, status=reply.status, headers=headers)

    def _place(self, number: int, shape: Shape, raw: bytes) -> int:
        last = len(shape.replies) - 1
        if shape.then is not None:
            form = {**orjson.loads(raw), "messages": None}
            refused = self._refused.setdefault(shape.name, [])
            if form not in refused:
                if len(refused) == last:
                    return last
                refused.append(form)
            return refused.index(form)
        asked = self._asked[number]
        self._asked[number] += 1
        self.wasted += asked > last
        return min(asked, last)


#: Dead-letter kinds of the errors that end a record.
KINDS = {
    "ContextLengthExceeded": errors.ContextLengthExceeded.kind,
    "ContentFiltered": errors.ContentFiltered.kind,
    "ProviderRejected": errors.ProviderRejected.kind,
}


def good(kind: str) -> Reply:
    """Return a good answer of an adapter of that kind."""
    if kind != "anthropic":
        return ok()
    usage = {"input_tokens": 10, "output_tokens": 5}
    content = [{"type": "text", "text": "hello"}]
    message = {"type": "message", "content": content, "stop_reason": "end_turn", "usage": usage}
    return Reply(json={**message, "model": "m"})


def passing(shape: Shape) -> Shape:
    """Return the shape with a good answer at its end."""
    if shape.right == "hello":
        return shape
    return replace(shape, replies=[*shape.replies, good(shape.provider)], right="hello")


def right_of(shape: Shape, number: int) -> Any:
    """Return the record's own answer, or the kind of its refusal."""
    if not isinstance(shape.right, str):
        return shape.right
    last = shape.replies[-1]
    is_whole = b"hello" in (last.body or orjson.dumps(last.json))
    own = shape.right.replace("hello", f"hello {number}") if is_whole else shape.right
    return KINDS.get(shape.right, own)


def shapes_of(vendor: str) -> list[Shape]:
    """Return the shapes of one vendor."""
    return [shape for shape in SHAPES if shape.vendor == vendor]
