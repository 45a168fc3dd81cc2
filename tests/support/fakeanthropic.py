"""The fake server's answers as Anthropic's API would give them."""

import re
from typing import Any

import orjson

PATH = "/messages"

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}


def as_message(completion: Any) -> Any:
    """Return OpenAI's completion, a bent one too, as the answer of ``POST /v1/messages``."""
    usage = completion["usage"]
    message = {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": completion["model"],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage["prompt_tokens"],
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": None,
            "output_tokens": usage["completion_tokens"],
        },
    }
    match completion["choices"]:
        case [{"message": {"content": text}, "finish_reason": reason}]:
            thinking = {"type": "thinking", "thinking": "hm", "signature": "x"}
            blocks = [thinking, {"type": "text", "text": text}]
            message["content"] = None if text is None else blocks
            message["stop_reason"] = _STOP_REASONS.get(reason, reason)
        case {}:
            message["content"] = "text"
    return message


def message_events(message: Any, error: Any) -> list[bytes]:
    """Return the server-sent events of an answer, or of its first half and an error."""
    text = "".join(block.get("text", "") for block in message["content"])
    start = {**message, "content": [], "stop_reason": None}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": message["usage"]["output_tokens"]}
    deltas = [{"type": "thinking_delta", "thinking": "hm"}]
    deltas += [{"type": "text_delta", "text": chunk} for chunk in re.findall(r"\S+\s*|\s+", text)]
    events: list[Any] = [
        {"type": "message_start", "message": start},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 1, "delta": delta} for delta in deltas),
        {"type": "message_delta", "delta": ended, "usage": usage},
        {"type": "message_stop"},
    ]
    if error:
        events[len(events) // 2 :] = [{"type": "error", "error": error}]
    return [b"event: x\ndata: %b\n\n" % orjson.dumps(event) for event in events]
