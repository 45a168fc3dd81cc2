"""A fake OpenAI server with a script per request and a call log, for tests and the benchmark.

In a test::

    async with FakeLLM() as fake:
        fake.script({"status": 503}, {"status": 503}, {}, match="r-7")
        ...  # call fake.base_url
        assert fake.calls[0].status == 503

As a process: ``python -m tests.support.fakellm --port 0`` prints ``{"base_url": ...}`` as its
first line on stdout once it listens, and is steered over HTTP:

=================  ======================================================================
POST /_script      ``{"rules": [{"match", "path", "per_request", "outcomes"}], "default": {},
                   "rate": {"per_s", "burst", "retry_after_s"}}``; a key given replaces its part
POST /_reset       forget calls, rules, default and rate
GET /_calls        the call log, see `Logged`; ``?since=N`` skips the first N
GET /_calls/count  ``{"total", "in_flight", "max_in_flight", "aborted", "by_status"}``
=================  ======================================================================

A request can also carry its own script, anywhere in its messages or inputs, as
``[[fake:{"latency_s": 1, "status": 429}]]`` or ``[[fake:[{"status": 503}, {}]]]``; a list is
played in order over the requests that carry the same text, and its last outcome repeats.
The first match wins: marker, rules in order, rate limit, default.

It answers at any path by that path's end: OpenAI's, Azure's and Anthropic's. A request with
``"stream": true`` is answered by server-sent events, a chunk per word.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import orjson
from aiohttp import web

from tests.support.fakeanswers import (
    Outcome,
    error_body,
    events,
    is_streamed,
    last_user,
    payload,
    texts_of,
)
from tests.support.json_response import json_response

PREFIX = "/v1"
MARKER = "[[fake:"
_DECODER = json.JSONDecoder()


class Logged(NamedTuple):
    """One call as it arrived; ``status`` 0 where no answer was sent on purpose."""

    n: int
    at_s: float
    path: str
    model: str
    body_hash: str
    message: str
    status: int
    inputs: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Rule:
    """Outcomes for the requests that contain ``match``; the last outcome repeats."""

    outcomes: Sequence[Outcome]
    match: str = ""
    path: str = ""
    per_request: bool = False
    _seen: Counter[str] = field(default_factory=Counter)

    def next(self, key: str) -> Outcome:
        """Return the outcome of this request; ``key`` tells requests apart."""
        key = key if self.per_request else ""
        turn = self._seen[key]
        self._seen[key] += 1
        return self.outcomes[min(turn, len(self.outcomes) - 1)]


@dataclass(slots=True, kw_only=True)
class Rate:
    """The provider's own limit: a bucket that starts full and answers 429 when empty."""

    per_s: float
    burst: float = 1.0
    retry_after_s: float | None = None
    _tokens: float | None = None
    _at_s: float = 0.0

    def admits(self, now: float) -> bool:
        """Take one token if there is one."""
        if self._tokens is None:
            self._tokens, self._at_s = self.burst, now
        self._tokens = min(self.burst, self._tokens + (now - self._at_s) * self.per_s)
        self._at_s = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @property
    def refusal(self) -> Outcome:
        """The 429 of this limit."""
        wish = self.retry_after_s
        headers = {} if wish is None else {"retry-after-ms": str(round(wish * 1000))}
        return Outcome(status=429, code="rate_limit_exceeded", headers=headers)


class FakeLLM:
    """The server; an async context manager that runs it in the current loop."""

    def __init__(
        self,
        *,
        port: int = 0,
        default: Mapping[str, Any] | None = None,
        models: Sequence[str] = ("fake-model",),
    ) -> None:
        self._models = models
        self._port = port
        self._first_default = Outcome(**(default or {}))
        self._runner: web.ServerRunner | None = None
        self.calls: list[Logged] = []
        self.reset()

    def reset(self) -> None:
        """Forget calls, scripts and the rate limit."""
        self.calls.clear()
        self._rules: list[Rule] = []
        self._markers: dict[str, Rule] = {}
        self._default = self._first_default
        self._rate: Rate | None = None
        self._in_flight = self._max_in_flight = self._aborted = 0
        self._let_go = asyncio.Event()

    def let_go(self) -> None:
        """Answer the requests that are ``held``, and those that still come."""
        self._let_go.set()

    def script(
        self,
        *outcomes: Mapping[str, Any],
        match: str = "",
        path: str = "",
        per_request: bool = False,
    ) -> None:
        """Play ``outcomes`` in order for the requests that contain ``match``.

        Args:
            outcomes: Fields of `Outcome`; the last one repeats.
            match: Substring of a message or input; empty for every request.
            path: Ending of the path, such as ``/embeddings``; empty for every path.
            per_request: Count the order per request body instead of over all requests.
        """
        played = [Outcome(**outcome) for outcome in outcomes]
        self._rules.append(Rule(outcomes=played, match=match, path=path, per_request=per_request))

    def default(self, **fields: Any) -> None:
        """Set the `Outcome` of requests that no script matches."""
        self._default = Outcome(**fields)

    def limit(self, per_s: float, *, burst: float = 1, retry_after_s: float | None = None) -> None:
        """Answer 429 above ``per_s`` requests per second with a bucket of ``burst``."""
        self._rate = Rate(per_s=per_s, burst=burst, retry_after_s=retry_after_s)

    @property
    def base_url(self) -> str:
        """The URL for ``OPENAI_BASE_URL``."""
        return f"{self.root_url}{PREFIX}"

    @property
    def root_url(self) -> str:
        """The URL without a version."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def counts(self) -> dict[str, Any]:
        """Numbers of ``GET /_calls/count``."""
        return {
            "total": len(self.calls),
            "in_flight": self._in_flight,
            "max_in_flight": self._max_in_flight,
            "aborted": self._aborted,
            "by_status": {str(s): n for s, n in Counter(c.status for c in self.calls).items()},
        }

    async def __aenter__(self) -> Self:
        # A bare server: an application's routing and middlewares would double the cost of a call.
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=1024)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.path
        if request.method == "POST" and not path.startswith("/_"):
            return await self._answer(request, path)
        return await self._control(request, path)

    async def _answer(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        raw = await request.content.read()  # `request.read` stops at 1 MiB
        try:
            body = orjson.loads(raw)
            texts = texts_of(body)
        except (orjson.JSONDecodeError, AttributeError, TypeError):
            return _error(400, "invalid_json")
        outcome = self._outcome(path, raw, texts)
        self._log(path, raw, body, texts, outcome.logged_status)
        self._in_flight += 1
        self._max_in_flight = max(self._max_in_flight, self._in_flight)
        try:
            if outcome.held:
                await self._let_go.wait()
            return await _play(request, outcome, path, body, texts)
        except asyncio.CancelledError:
            self._aborted += 1
            raise
        finally:
            self._in_flight -= 1

    def _outcome(self, path: str, raw: bytes, texts: Sequence[str]) -> Outcome:
        if b"[[fake:" in raw:
            for text in texts:
                if MARKER in text:
                    return self._marked(text)
        for rule in self._rules:
            if path.endswith(rule.path) and any(rule.match in text for text in texts or [""]):
                return rule.next(_hash(raw))
        if self._rate and not self._rate.admits(time.monotonic()):
            return self._rate.refusal
        return self._default

    def _marked(self, text: str) -> Outcome:
        if text not in self._markers:
            start = text.index(MARKER) + len(MARKER)
            script, _ = _DECODER.raw_decode(text[start:])
            outcomes = script if isinstance(script, list) else [script]
            self._markers[text] = Rule(outcomes=[Outcome(**fields) for fields in outcomes])
        return self._markers[text].next("")

    def _log(self, path: str, raw: bytes, body: Any, texts: Sequence[str], status: int) -> None:
        is_embeddings = path.endswith("/embeddings")
        self.calls.append(
            Logged(
                n=len(self.calls),
                at_s=time.monotonic(),
                path=path,
                model=str(body.get("model")),
                body_hash=_hash(raw),
                message="" if is_embeddings else last_user(body)[:200],
                status=status,
                inputs=tuple(texts) if is_embeddings else (),
            )
        )

    async def _control(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        match (request.method, path):
            case ("GET", "/v1/models"):
                models = [
                    {"id": name, "object": "model", "created": 0, "owned_by": "fake"}
                    for name in self._models
                ]
                return json_response({"object": "list", "data": models})
            case ("GET", "/_calls"):
                since = int(request.rel_url.query.get("since", "0"))
                return json_response([call._asdict() for call in self.calls[since:]])
            case ("GET", "/_calls/count"):
                return json_response(self.counts)
            case ("POST", "/_reset"):
                self.reset()
                return json_response({})
            case ("POST", "/_script"):
                self._load(orjson.loads(await request.read()))
                return json_response({})
        return _error(404, "not_found")

    def _load(self, script: Mapping[str, Any]) -> None:
        if "rules" in script:
            self._rules = []
            for rule in script["rules"]:
                self.script(*rule["outcomes"], **{k: v for k, v in rule.items() if k != "outcomes"})
        if "default" in script:
            self.default(**script["default"])
        if "rate" in script:
            self._rate = Rate(**script["rate"]) if script["rate"] else None


async def _play(
    request: web.BaseRequest, outcome: Outcome, path: str, body: Any, texts: Sequence[str]
) -> web.StreamResponse:
    """Answer one request as its outcome says."""
    if outcome.latency_s:
        await asyncio.sleep(outcome.latency_s)
    if outcome.hang == "headers":
        await asyncio.Event().wait()
    if outcome.close == "headers":
        _cut(request)
        return web.Response()
    if is_streamed(outcome, path, body):
        return await _stream(request, outcome, path, body)
    headers = {"content-type": "application/json", **outcome.headers}
    status, raw = payload(outcome, path, body, texts)
    if outcome.shape == "gzip_bomb":
        headers["content-encoding"] = "gzip"
    if not (outcome.drip_s or outcome.hang or outcome.close):
        return web.Response(body=raw, status=status, headers=headers)
    headers["content-length"] = str(len(raw))
    response = web.StreamResponse(status=status, headers=headers)
    await response.prepare(request)
    if outcome.drip_s:
        for byte in raw:
            await response.write(bytes([byte]))
            await asyncio.sleep(outcome.drip_s)
        return response
    await response.write(raw[: len(raw) // 2])
    if outcome.hang:
        await asyncio.Event().wait()
    _cut(request)
    return response


async def _stream(
    request: web.BaseRequest, outcome: Outcome, path: str, body: Any
) -> web.StreamResponse:
    """Send the events of one answer; hang or cut the connection half way where asked to."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream", **outcome.headers})
    await response.prepare(request)
    sent = events(outcome, path, body)
    if outcome.hang or outcome.close:
        sent = sent[: len(sent) // 2]
    for event in sent:
        await response.write(event)
        await asyncio.sleep(outcome.drip_s)
    if outcome.hang:
        await asyncio.Event().wait()
    if outcome.close:
        _cut(request)
    return response


def _hash(raw: bytes) -> str:
    return f"{zlib.crc32(raw):08x}"


def _cut(request: web.BaseRequest) -> None:
    if request.transport:
        request.transport.abort()


def _error(status: int, code: str) -> web.Response:
    headers = {"content-type": "application/json"}
    return web.Response(body=error_body(code, status), status=status, headers=headers)


async def serve(arguments: argparse.Namespace) -> None:
    """Run the server until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    default = {"latency_s": arguments.latency_s}
    async with FakeLLM(port=arguments.port, default=default) as fake:
        if arguments.rate_per_s:
            fake.limit(arguments.rate_per_s, burst=arguments.burst)
        sys.stdout.write(json.dumps({"base_url": fake.base_url}) + "\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="fakellm", description="A fake OpenAI server.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-s", type=float, default=0.0)
    parser.add_argument("--rate-per-s", type=float, default=0.0)
    parser.add_argument("--burst", type=float, default=1.0)
    with contextlib.suppress(KeyboardInterrupt):
        import uvloop

        uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
