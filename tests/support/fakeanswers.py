"""What the fake server answers: outcomes by script, and their bytes."""

import base64
import gzip
import itertools
import re
import struct
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from streamapp.llm.schemas.instance import instance_of
from tests.support.fakeanthropic import PATH, as_message, message_events
from tests.support.fakecalls import call_parts, calls_for

DIMENSIONS = 8
#: Stands in every error body, to prove that nothing of one reaches logs or dead letters.
CANARY = "PROVIDER-BODY-CANARY"
_ANSWERS = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one request gets; without any field, a good answer at once.

    Attributes:
        held: Wait until the test lets go; before any other wait. Where the test has to do
            something while a call is made, no latency is long enough on every machine.
        latency_s: Wait before the headers.
        status: HTTP status; from 400 on the body is OpenAI's error shape.
        code: The error's ``code``; ``type`` goes with it.
        headers: Added headers, such as ``retry-after``.
        body: Of an error, in place of the default one.
        text: The answer's text in place of the default one.
        finish_reason: Of the answer.
        shape: A broken or special answer: ``garbage``, ``truncated``, ``html``,
            ``empty_choices``, ``null_content``, ``wrong_type``, ``nan``, ``content_filter``,
            ``context_length``, ``insufficient_quota``, ``gzip_bomb``, ``stream_error`` (a
            stream that ends in an error half way).
        size: Bytes of text in the answer.
        hang: ``headers`` or ``body``: never send the rest.
        close: ``headers`` or ``body``: cut the connection there.
        drip_s: Seconds between the bytes of the body; between the chunks of a stream.
        unique: The default answer's text differs from call to call, as a model's does.
        calls: How many calls of the offered tools are the answer, until a result is sent back;
            their arguments fit the tools' schemas.
        arguments: Of those calls, in place of such.
        for_ever: Those calls are the answer to their results, too.
    """

    held: bool = False
    latency_s: float = 0.0
    status: int = 200
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    text: str | None = None
    finish_reason: str = "stop"
    shape: str | None = None
    size: int = 0
    hang: str | None = None
    close: str | None = None
    drip_s: float = 0.0
    unique: bool = False
    calls: int = 0
    arguments: Mapping[str, Any] | None = None
    for_ever: bool = False

    @property
    def logged_status(self) -> int:
        """The status for the call log."""
        if "headers" in (self.hang, self.close):
            return 0
        return {"context_length": 400, "insufficient_quota": 429}.get(self.shape or "", self.status)


def payload(outcome: Outcome, path: str, body: Any, texts: Sequence[str]) -> tuple[int, bytes]:
    """Return the status and the bytes of an outcome's answer."""
    status, shape = outcome.status, outcome.shape
    if shape == "context_length":
        return 400, error_body("context_length_exceeded", 400)
    if shape == "insufficient_quota":
        return 429, error_body("insufficient_quota", 429)
    if status >= 400 and not shape:
        own = outcome.body
        return status, error_body(outcome.code, status) if own is None else own.encode()
    if shape == "garbage":
        return status, b"\x00\xff not an answer"
    if shape == "html":
        return status, b"<!doctype html><html><body><h1>Bad Gateway</h1></body></html>"
    if shape == "gzip_bomb":
        return status, gzip.compress(bytes(64 * 1024 * 1024), 9)
    if path.endswith("/embeddings"):
        answer: Any = _embeddings(body, texts)
    else:
        answer = _completion(body, outcome)
        _bend(answer, shape)
        if path.endswith(PATH):
            answer = as_message(answer)
    raw = orjson.dumps(answer)
    if shape == "nan":
        raw = raw.replace(b'_tokens":', b'_tokens":NaN,"x":', 1)
    return status, raw[: len(raw) // 2] if shape == "truncated" else raw


def is_streamed(outcome: Outcome, path: str, body: Any) -> bool:
    """Whether the answer goes out as server-sent events."""
    unfit: tuple[str, ...] = (
        "garbage",
        "html",
        "gzip_bomb",
        "empty_choices",
        "null_content",
        "wrong_type",
    )
    unfit += ("truncated", "nan")
    wants = body.get("stream") and not path.endswith("/embeddings")
    return wants and outcome.logged_status == 200 and outcome.shape not in unfit


def events(outcome: Outcome, path: str, body: Any) -> list[bytes]:
    """Return the server-sent events of a streamed answer, a chunk of text per word."""
    whole = _completion(body, outcome)
    _bend(whole, outcome.shape)
    error = {"message": CANARY, "type": outcome.code or "server_error", "code": outcome.code}
    if path.endswith(PATH):
        return message_events(as_message(whole), outcome.shape == "stream_error" and error)
    choice = whole["choices"][0]
    text = choice["message"]["content"] or ""
    texts = re.findall(r"\S+\s*|\s+", text)
    head = {k: whole[k] for k in ("id", "created", "model")} | {"object": "chat.completion.chunk"}

    def chunk(delta: Any, finish_reason: str | None = None) -> Any:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
        return {**head, "choices": choices}

    chunks = [chunk({"role": "assistant", "content": ""})]
    chunks += [chunk({"content": text}) for text in texts]
    chunks += [chunk({"tool_calls": [part]}) for part in call_parts(choice["message"])]
    chunks.append(chunk({}, choice["finish_reason"]))
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**head, "choices": [], "usage": whole["usage"]})
    if outcome.shape == "stream_error":
        chunks[len(chunks) // 2 :] = [{"error": error}]
    return [*(b"data: %b\n\n" % orjson.dumps(c) for c in chunks), b"data: [DONE]\n\n"]


def _bend(answer: Any, shape: str | None) -> None:
    """Damage a good completion in place."""
    if shape == "empty_choices":
        answer["choices"] = []
    elif shape == "null_content":
        answer["choices"][0]["message"]["content"] = None
    elif shape == "wrong_type":
        answer["choices"] = {"message": "text"}
    elif shape == "content_filter":
        answer["choices"][0]["finish_reason"] = "content_filter"
        answer["choices"][0]["message"]["content"] = ""


def _completion(body: Any, outcome: Outcome) -> dict[str, Any]:
    question = last_user(body)
    schema = _schema_of(body)
    if outcome.text is not None:
        text = outcome.text
    elif outcome.size:
        text = "x" * outcome.size
    elif schema is not None:
        text = orjson.dumps(instance_of(schema)).decode()
    else:
        number = f"{next(_ANSWERS)} " if outcome.unique else ""
        text = f"answer {number}to: {question[:40]}"
    read = sum(len(t.split()) for t in texts_of(body))
    written = len(text.split())
    message: dict[str, Any] = {"role": "assistant", "content": text}
    finish_reason = outcome.finish_reason
    if calls := calls_for(body, outcome):
        message |= {"content": None, "tool_calls": calls}
        finish_reason = "tool_calls"
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.get("model"),
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": finish_reason,
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        },
    }


def _schema_of(body: Any) -> Any:
    """Return the schema that a request wants its answer to fit, in OpenAI's or Anthropic's way."""
    wanted = body.get("response_format") or (body.get("output_config") or {}).get("format") or {}
    if wanted.get("type") != "json_schema":
        return None
    return wanted["schema"] if "schema" in wanted else wanted["json_schema"].get("schema", {})


def _embeddings(body: Any, texts: Sequence[str]) -> dict[str, Any]:
    # Tokens stand for themselves.
    texts = [one if isinstance(one, str) else " ".join(map(str, one)) for one in texts]
    read = sum(len(text.split()) for text in texts)
    vectors = [vector_of(text) for text in texts]
    packed: Any = vectors
    if body.get("encoding_format") == "base64":
        packed = [base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *v)).decode() for v in vectors]
    return {
        "object": "list",
        "model": body.get("model"),
        "data": [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(packed)],
        "usage": {"prompt_tokens": read, "total_tokens": read},
    }


def vector_of(text: str) -> list[float]:
    """Return the fake embedding of ``text``: `DIMENSIONS` numbers in [0, 1)."""
    seed = zlib.crc32(text.encode("utf-8", "surrogatepass"))
    return [((seed >> (4 * i)) & 15) / 16 for i in range(DIMENSIONS)]


def texts_of(body: Any) -> list[str]:
    """Return the texts of a request: each message's content, or each input."""
    if "input" in body:
        given = body["input"]
        return [given] if isinstance(given, str) else list(given)
    return [_content(message) for message in body.get("messages", ())]


def last_user(body: Any) -> str:
    for message in reversed(body.get("messages", ())):
        if message.get("role") == "user":
            return _content(message)
    return ""


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return content or ""


def error_body(code: str | None, status: int) -> bytes:
    error = {"message": CANARY, "type": "fake_error", "param": None, "code": code}
    return orjson.dumps({"error": {**error, "status": status}})
