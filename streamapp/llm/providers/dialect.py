"""The requests that one target takes: found out at its first refusal, and remembered."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson
import structlog

from streamapp.errors import ParameterRefused
from streamapp.llm.completion import Call
from streamapp.llm.providers.shapes.beside_openai import OTHERS, of_openai
from streamapp.llm.providers.shapes.chat_request import (
    MODES,
    PARAMETERS,
    StructuredMode,
    chat_body,
)
from streamapp.llm.providers.shapes.embeddings import embeddings_body

log = structlog.get_logger(__name__)

#: Requests of one call: the first, and one more for each thing that is refused.
MAX_REQUESTS = 6

_SCHEMAS = 256
#: So many values of a parameter that are refused say that it is not taken at all.
_FEW_VALUES = 4
#: Without these it would be another question.
_KEPT = frozenset(
    {"model", "messages", "input", "tools", "tool_choice", "functions", "function_call"}
    | {"stop", "n", "stream", "dimensions"}
)
_OTHER_NAME = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}


class Dialect:
    """Builds a target's requests.

    Args:
        target: ``provider/model``, for the log.
        mode: How it is asked for JSON first.
        extra: Sent with each request, beneath what is ours.
        pass_through: Fields of callers that it takes besides OpenAI's own.
    """

    def __init__(
        self,
        target: str,
        *,
        mode: StructuredMode | None = None,
        extra: Mapping[str, Any] | None = None,
        pass_through: frozenset[str] = frozenset(),
    ) -> None:
        self._target = target
        self._mode: StructuredMode = mode or "json_schema"
        self._extra = dict(extra or {})
        self._taken = PARAMETERS | pass_through
        self._others = OTHERS - self._taken
        self._dropped: set[str] = set()
        self._names: dict[str, str] = {}
        #: Values that are refused, by their parameter; and parameters that bear no other beside.
        self._values: dict[str, set[bytes]] = {}
        self._beside: dict[str, str] = {}
        #: Values that answers which are no streams have to be asked for with.
        self._wanted: dict[str, Any] = {}
        #: By schema: how many steps below the strict way its target takes it.
        self._steps: OrderedDict[bytes, int] = OrderedDict()

    def body(self, call: Call) -> dict[str, Any]:
        """Return the body of the request of ``call``."""
        parameters = call.parameters
        if not parameters.keys() <= self._taken:
            parameters = {name: parameters[name] for name in parameters if name in self._taken}
            call = call.but(parameters=parameters)
        if call.operation == "embeddings":
            body = embeddings_body(call)
        else:
            mode, is_strict = self._way(call)
            body = of_openai(chat_body(call, mode=mode, is_strict=is_strict), self._others)
        if self._extra:
            body = {**self._extra, **body}
        if self._dropped:
            for name in self._dropped.intersection(body):
                del body[name]
        for name, values in self._values.items():
            if name in body and _key(body[name]) in values:
                del body[name]
        for name, other in self._beside.items():
            if other in body:
                body.pop(name, None)
        if self._wanted and call.chunks is None and call.operation != "embeddings":
            body |= self._wanted
        for name, other in self._names.items():
            if name in body:
                value = body.pop(name)
                body.setdefault(other, value)
        return body

    def learn(self, refusal: ParameterRefused, call: Call, sent: Mapping[str, Any]) -> bool:
        """Take note of what was refused; return whether another request differs from ``sent``."""
        for name, value in (refusal.wanted or {}).items():
            self._wanted[name] = value
            log.warning("llm.parameter_set", target=self._target, parameter=name, value=value)
        if refusal.wanted:
            return self.body(call) != sent
        for name in refusal.parameters:
            if name == "json_schema":
                self._step_down(call)
            elif name == "response_format" and name in sent:
                self._mode_down(sent)
            elif name in sent and name not in _KEPT:
                if refusal.beside:
                    self._not_beside(name, refusal.beside)
                elif refusal.by_value and len(self._values.get(name, ())) < _FEW_VALUES:
                    self._without_value(name, sent[name])
                else:
                    self._do_without(name)
        return self.body(call) != sent

    def _way(self, call: Call) -> tuple[StructuredMode, bool]:
        schema = call.output_schema or call.parameters.get("response_format")
        step = self._steps.get(_key(schema), 0) if schema and self._steps else 0
        # The steps: strict, not strict, and then the other modes.
        position = max(MODES.index(self._mode), step - 1)
        return MODES[min(position, len(MODES) - 1)], step == 0

    def _step_down(self, call: Call) -> None:
        schema = call.output_schema or call.parameters.get("response_format")
        if not schema:
            return
        key = _key(schema)
        self._steps[key] = self._steps.get(key, 0) + 1
        if len(self._steps) > _SCHEMAS:
            self._steps.popitem(last=False)

    def _mode_down(self, sent: Mapping[str, Any]) -> None:
        shape = sent["response_format"]
        asked = shape.get("type") if isinstance(shape, Mapping) else None
        if asked != self._mode:
            # Another call found it out meanwhile; or a record asks for what its target lacks.
            asked = asked if asked in MODES else self._mode
        position = max(MODES.index(asked) + 1, MODES.index(self._mode))
        mode = MODES[min(position, len(MODES) - 1)]
        if mode != self._mode:
            self._mode = mode
            log.warning("llm.structured_mode", target=self._target, mode=mode)

    def _not_beside(self, name: str, other: str) -> None:
        self._beside[name] = other
        log.warning("llm.parameter_dropped", target=self._target, parameter=name, beside=other)

    def _without_value(self, name: str, value: Any) -> None:
        """Leave a parameter out where it has ``value``: others may be taken."""
        self._values.setdefault(name, set()).add(_key(value))
        log.warning("llm.parameter_value_dropped", target=self._target, parameter=name)

    def _do_without(self, name: str) -> None:
        other = _OTHER_NAME.get(name)
        if other is not None and self._names.get(other) != name:
            self._names[name] = other
            log.warning("llm.parameter_renamed", target=self._target, parameter=name, to=other)
        elif name not in self._dropped:
            self._names = {k: v for k, v in self._names.items() if name not in (k, v)}
            self._dropped.add(name)
            log.warning("llm.parameter_dropped", target=self._target, parameter=name)


def _key(schema: Any) -> bytes:
    return orjson.dumps(schema, default=str)
