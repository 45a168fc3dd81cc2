"""The requests that one target takes: found out at its first refusal, and remembered."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
import structlog

from streamapp.errors import ParameterRefused, ProviderRejected
from streamapp.llm.completion import Call, Completion
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
_MAX_REQUESTS = 6

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
        #: The weakest way that an answer came by: of all schemas, and the steps of each.
        self._sure_mode, self._sure_steps = self._mode, OrderedDict[bytes, int]()
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

    async def ask(
        self, call: Call, request: Callable[[Call, Mapping[str, Any]], Awaitable[Completion]]
    ) -> Completion:
        """Make ``request`` with the body of ``call``, and again without what is refused of it.

        A weaker way of asking for JSON is remembered once an answer came by it: one that is refused
        as well was not what was at fault.
        """
        shape = _wanted_shape(call)
        for left in reversed(range(_MAX_REQUESTS)):
            body, mode, step = self.body(call), self._mode, self._step(shape)
            try:
                completion = await request(call, body)
            except ProviderRejected as error:
                refusal = error if isinstance(error, ParameterRefused) else None
                if refusal and left and not call.is_sent and self.learn(refusal, call, body):
                    continue
                if shape:
                    self._mode = self._sure_mode
                    self._set_step(shape, self._sure_steps.get(_key(shape), 0))
                if refusal is None:
                    _name_the_way(error, body)
                raise
            if shape and (step or mode != self._sure_mode):
                self._be_sure(shape, mode, step)
            return completion
        raise AssertionError  # the last one returns or raises

    def _be_sure(self, shape: Any, mode: StructuredMode, step: int) -> None:
        """Remember a way that an answer came by, whatever calls beside it forgot meanwhile."""
        if step:
            self._sure_steps[_key(shape)] = step
            if len(self._sure_steps) > _SCHEMAS:
                self._sure_steps.popitem(last=False)
            self._set_step(shape, max(step, self._step(shape)))
        elif MODES.index(mode) > MODES.index(self._sure_mode):
            self._sure_mode = mode
            self._mode = max(mode, self._mode, key=MODES.index)

    def _step(self, shape: Any) -> int:
        return self._steps.get(_key(shape), 0) if self._steps else 0

    def _set_step(self, shape: Any, step: int) -> None:
        if step:
            self._steps[_key(shape)] = step
        elif self._steps:
            self._steps.pop(_key(shape), None)

    def learn(self, refusal: ParameterRefused, call: Call, sent: Mapping[str, Any]) -> bool:
        """Take note of what was refused; return whether another request differs from ``sent``."""
        for name, value in (refusal.wanted or {}).items():
            self._wanted[name] = value
            log.warning("llm.parameter_set", target=self._target, parameter=name, value=value)
        if refusal.wanted:
            return self.body(call) != sent
        for name in refusal.parameters:
            if name in ("response_format", "json_schema"):
                if "response_format" in sent:
                    self._weaken(call, sent, is_for_all=name == "response_format")
            elif name in sent and name not in _KEPT:
                if refusal.beside:
                    self._not_beside(name, refusal.beside)
                elif refusal.by_value and len(self._values.get(name, ())) < _FEW_VALUES:
                    self._without_value(name, sent[name])
                else:
                    self._do_without(name)
        return self.body(call) != sent

    def _way(self, call: Call) -> tuple[StructuredMode, bool]:
        step = self._step(_wanted_shape(call))
        # The steps: strict, not strict, and then the other modes.
        position = max(MODES.index(self._mode), step - 1)
        return MODES[min(position, len(MODES) - 1)], step == 0

    def _weaken(self, call: Call, sent: Mapping[str, Any], *, is_for_all: bool) -> None:
        """Ask for JSON in the next weaker way: for all calls, or for this schema alone.

        A way that is not this target's first one, as a record or an earlier refusal may want it,
        says nothing about the first.
        """
        shape = sent["response_format"]
        if is_for_all and isinstance(shape, Mapping) and shape.get("type") == self._mode:
            self._mode = MODES[MODES.index(self._mode) + 1]
            log.warning("llm.structured_mode", target=self._target, mode=self._mode)
            return
        key = _key(_wanted_shape(call))
        # Another call may have found it out meanwhile; a step may change nothing of this request.
        while self.body(call) == sent and self._steps.get(key, 0) < len(MODES):
            self._steps[key] = self._steps.get(key, 0) + 1
        if len(self._steps) > _SCHEMAS:
            self._steps.popitem(last=False)

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


def _name_the_way(error: ProviderRejected, sent: Mapping[str, Any]) -> None:
    """Say how JSON is asked for otherwise, where that may be what an unknown refusal means."""
    shape = sent.get("response_format")
    asked = shape.get("type") if isinstance(shape, Mapping) else None
    if type(error) is ProviderRejected and error.status in (400, 422) and asked in MODES[:-1]:
        weaker = MODES[MODES.index(asked) + 1]
        setting = f'structured = "{weaker}" in [providers.{error.provider}]'
        error.args = (f"{error}; if it takes no {asked}, set {setting}",)


def _wanted_shape(call: Call) -> Any:
    return call.output_schema or call.parameters.get("response_format")


def _key(schema: Any) -> bytes:
    return orjson.dumps(schema, default=str)
