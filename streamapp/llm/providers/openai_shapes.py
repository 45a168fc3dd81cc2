"""OpenAI's request and answer bodies, to and from ours; nothing here does I/O."""

from typing import Any

from streamapp.errors import ContentFiltered, ProviderUnavailable
from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers.bodies import count, decode, encode, garbled
from streamapp.llm.providers.openai_errors import stream_error
from streamapp.llm.providers.strict_schema import fits_strict_mode
from streamapp.records.response import NO_USAGE, Usage

_DONE = b"[DONE]"


def chat_request(call: Call) -> bytes:
    """Return the body of ``POST /chat/completions``.

    Raises:
        InvalidRecord: A parameter cannot be written as JSON, such as a number above 64 bits.
    """
    body = {**call.parameters, "model": call.model, "messages": call.messages}
    if call.output_schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": "answer",
                "schema": call.output_schema,
                "strict": fits_strict_mode(call.output_schema),
            },
        }
    if call.chunks is not None:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return encode(body)


def embeddings_request(call: Call) -> bytes:
    """Return the body of ``POST /embeddings``; raises as `chat_request`."""
    return encode(
        {
            **call.parameters,
            "model": call.model,
            "input": call.inputs,
            "encoding_format": "float",
        }
    )


def chat_completion(body: bytes, call: Call, *, provider: str) -> Completion:
    """Read the answer of ``POST /chat/completions``.

    Raises:
        GarbledAnswer: The body is no completion.
        ContentFiltered: The provider withheld the answer, or the model refused to give one.
    """
    return _chat_answer(decode(body, provider), call, provider)


class ChatStream:
    """Puts a streamed answer of ``POST /chat/completions`` together."""

    def __init__(self, call: Call, *, provider: str) -> None:
        self._call = call
        self._provider = provider
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._finish_reason: str | None = None
        self._has_ended = False
        self._answer: dict[str, Any] = {}

    def feed(self, event: bytes) -> str:
        """Take the data of one event; return the text it adds, often none.

        Raises:
            GarbledAnswer: It is no part of a completion.
            ProviderError: It says that something went wrong.
        """
        if event == _DONE:
            self._has_ended = True
            return ""
        chunk = decode(event, self._provider)
        if chunk.get("error"):
            raise stream_error(event, provider=self._provider)
        for name in ("model", "usage"):
            if chunk.get(name):
                self._answer[name] = chunk[name]
        try:
            choice = chunk["choices"][0] if chunk["choices"] else {}
            delta = choice.get("delta") or {}
            text, refusal = delta.get("content") or "", delta.get("refusal") or ""
            self._texts.append("" + text)
            self._refusals.append("" + refusal)
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
        except (LookupError, TypeError, AttributeError) as error:
            raise garbled("no choice with a delta", self._provider) from error
        return self._texts[-1]

    def completion(self) -> Completion:
        """Return the whole answer; raises as `chat_completion`.

        Raises:
            ProviderUnavailable: The stream broke off.
        """
        if not (self._has_ended or self._finish_reason):
            raise ProviderUnavailable(f"{self._provider}: broke off", provider=self._provider)
        message = {"content": "".join(self._texts), "refusal": "".join(self._refusals)}
        choice = {"message": message, "finish_reason": self._finish_reason}
        return _chat_answer({**self._answer, "choices": [choice]}, self._call, self._provider)


def _chat_answer(answer: dict[str, Any], call: Call, provider: str) -> Completion:
    try:
        choice = answer["choices"][0]
        message, finish_reason = choice["message"], choice.get("finish_reason")
        content, refusal = message.get("content"), message.get("refusal")
    except (LookupError, TypeError, AttributeError) as error:
        raise garbled("no choice with a message", provider) from error
    if finish_reason == "content_filter" or (refusal and not content):
        raise ContentFiltered(f"{provider}: the answer was withheld", provider=provider, status=200)
    if not isinstance(content, str):
        raise garbled("no text in the message", provider)
    return Completion(
        output=content,
        model=_model(answer, call),
        provider=provider,
        usage=_usage(answer),
        finish_reason=finish_reason if isinstance(finish_reason, str) else None,
    )


def embeddings_completion(body: bytes, call: Call, *, provider: str) -> Completion:
    """Read the answer of ``POST /embeddings``: one vector per input, in their order.

    Raises:
        GarbledAnswer: The body does not hold a vector for each input.
    """
    answer = decode(body, provider)
    try:
        items = sorted(answer["data"], key=lambda item: item["index"])
        vectors = [item["embedding"] for item in items]
        indexes = [item["index"] for item in items]
    except (LookupError, TypeError) as error:
        raise garbled("no list of vectors", provider) from error
    if indexes != list(range(len(call.inputs))) or not all(map(_is_vector, vectors)):
        raise garbled("not one vector for each input", provider)
    return Completion(
        output=vectors,
        model=_model(answer, call),
        provider=provider,
        usage=_usage(answer),
        finish_reason=None,
    )


def _model(answer: dict[str, Any], call: Call) -> str:
    model = answer.get("model")
    return model if isinstance(model, str) and model else call.model


def _usage(answer: dict[str, Any]) -> Usage:
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return NO_USAGE
    read = count(usage.get("prompt_tokens"))
    details = usage.get("prompt_tokens_details")
    cached = count(details.get("cached_tokens")) if isinstance(details, dict) else 0
    return Usage(
        input_tokens=read,
        output_tokens=count(usage.get("completion_tokens")),
        cache_read_tokens=min(cached, read),
    )


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and {type(n) for n in value} <= {int, float}
