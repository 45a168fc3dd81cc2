"""The request of ``POST /chat/completions``, in the ways of asking that providers take."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson

from streamapp.llm.completion import Call
from streamapp.llm.providers.shapes.strict_schema import strict_form

#: How a target is asked for JSON that fits a schema, from what binds it most to what binds least.
StructuredMode = Literal["json_schema", "json_object", "prompt"]
MODES: tuple[StructuredMode, ...] = ("json_schema", "json_object", "prompt")

#: What OpenAI's API names; other fields of a caller go only where a provider takes them.
PARAMETERS = frozenset(
    {"temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "n"}
    | {"presence_penalty", "frequency_penalty", "reasoning_effort", "user", "response_format"}
    | {"tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "logit_bias"}
    | {"logprobs", "top_logprobs", "service_tier", "store", "metadata", "prediction", "verbosity"}
    | {"modalities", "audio", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"}
    | {"web_search_options", "dimensions", "encoding_format"}
)


def chat_body(call: Call, *, mode: StructuredMode, is_strict: bool = True) -> dict[str, Any]:
    """Return the body of a request.

    Args:
        call: Its schema, or the ``response_format`` among its parameters, is asked for by ``mode``.
        mode: How.
        is_strict: Whether a schema may be sent as strict where it keeps the rules.
    """
    body: dict[str, Any] = {**call.parameters, "model": call.model, "messages": call.messages}
    if call.output_schema is not None:
        body["response_format"] = _json_schema(call.output_schema, is_strict)
    shape = body.get("response_format")
    if mode != "json_schema" and isinstance(shape, Mapping) and shape.get("type") != "text":
        schema = _schema_in(shape, call)
        if mode == "prompt":
            del body["response_format"]
            body["messages"] = with_schema(call.messages, schema)
        elif shape.get("type") == "json_schema":
            body["response_format"] = {"type": "json_object"}
            body["messages"] = with_schema(call.messages, schema)
    if call.chunks is not None:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def with_schema(
    messages: Sequence[Mapping[str, Any]], schema: Mapping[str, Any] | None
) -> list[Mapping[str, Any]]:
    """Return ``messages`` that ask for JSON: within the first system message, or as one."""
    wish = "Answer with JSON only, without any text around it."
    if schema is not None:
        wish = f"{wish[:-1]}; it must fit this JSON Schema:\n{orjson.dumps(schema).decode()}"
    first = messages[0] if messages else {}
    if first.get("role") in ("system", "developer") and isinstance(first.get("content"), str):
        return [{**first, "content": f"{first['content']}\n\n{wish}"}, *messages[1:]]
    return [{"role": "system", "content": wish}, *messages]


def _json_schema(schema: Mapping[str, Any], is_strict: bool) -> dict[str, Any]:
    strict = strict_form(schema) if is_strict else None
    named = {"name": "answer", "schema": schema if strict is None else strict}
    return {"type": "json_schema", "json_schema": {**named, "strict": strict is not None}}


def _schema_in(shape: Mapping[str, Any], call: Call) -> Mapping[str, Any] | None:
    if call.output_schema is not None:
        return call.output_schema
    named = shape.get("json_schema")
    schema = named.get("schema") if isinstance(named, Mapping) else None
    return schema if isinstance(schema, Mapping) else None
