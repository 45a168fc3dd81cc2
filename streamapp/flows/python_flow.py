"""Flows in Python: a coroutine from one typed topic to others, written as Faust agents are.

    @flow("shop.reviews", to="shop.reviews.labelled")
    async def label(review: Review, llm: LLMClient) -> Labelled | None: ...

What a call of it returns is encoded at once and kept whole in the answer: all that one record
emits is one ledger entry, and after a crash the same bytes are emitted again without a call.
"""

from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from streamapp.errors import ConfigurationError, InternalError, InvalidRecord
from streamapp.flows.annotations import Annotations, annotations_of
from streamapp.flows.emit import SAME_KEY, Emit, Incoming
from streamapp.flows.flow import Emission, Start
from streamapp.flows.headers import headers_of
from streamapp.flows.source_record import SourceRecord
from streamapp.llm.client import LLMClient
from streamapp.processors.registry import FLOW_TYPE, Processor
from streamapp.records.request import Request
from streamapp.records.response import Response
from streamapp.settings.flows import FlowName, TopicName


class FlowRequest(Request):
    """The request that a flow in Python makes of a record: it holds the record itself."""

    record: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonFlow(Processor):
    """A coroutine that is a flow; made by `flow`, and a processor of its own type of request.

    Attributes:
        annotations: The types of its topics.
        id: Returns the id of a value; None for topic, partition and offset.
    """

    name: str
    input: str
    outputs: tuple[str, ...]
    dead_letters: str
    start: Start
    annotations: Annotations
    id: Callable[[Any], str] | None
    model: str | None
    cache: bool

    def read(self, record: SourceRecord) -> Request | None:
        """Return the request of a record; None where it has no value and the type needs one."""
        if record.value in (None, b"null") and not self.annotations.takes_none:
            return None
        value = self.annotations.decode(record.value, flow=self.name)
        given = value
        if self.annotations.is_incoming:
            given = Incoming(
                value,
                record.key,
                record.header_texts,
                record.topic,
                record.partition,
                record.offset,
                record.timestamp,
            )
        # Nothing of it is validated again: the record may be of any type.
        return cast(type[FlowRequest], self.record).model_construct(
            type=self.type,
            id=None if self.id is None else self._id_of(value),
            model=self.model,
            cache=self.cache,
            record=given,
        )

    def write(self, record: SourceRecord, response: Response) -> list[Emission]:
        """Return the records that the coroutine returned, as they were encoded then."""
        own = headers_of(record, response)
        return [_emission(fields, record, own) for fields in response.output]

    def _id_of(self, value: Any) -> str:
        assert self.id is not None
        try:
            id = self.id(value)
        except Exception as error:
            raise InternalError(f"flow '{self.name}', id: raised {type(error).__name__}") from error
        if not isinstance(id, str) or not id:
            raise InvalidRecord(f"flow '{self.name}', id: it gives no text")
        return id


def flow(
    input: str,
    *,
    to: str | Sequence[str],
    name: str | None = None,
    start: Start = "latest",
    dead_letters: str | None = None,
    prompt: str | None = None,
    model: str | None = None,
    cache: bool = True,
    id: Callable[[Any], str] | None = None,
) -> Callable[[Callable[[Any, LLMClient], Awaitable[Any]]], PythonFlow]:
    """Make a coroutine a flow.

    Args:
        input: The topic that it reads; it exists already.
        to: The topics that it may write to; the first is the default one.
        name: Default: that of the coroutine, with ``-`` for ``_``.
        start: Where it begins on a topic that it never read.
        dead_letters: Default: the input's name and ``-dlt``.
        prompt: What ``llm.generate`` renders.
        model: The route of its calls; default: the prompt's, else ``default``.
        cache: Whether answers may come from, or be given to, equal calls.
        id: Returns the id of a value, where it has one of its own.

    Raises:
        ConfigurationError: It is no coroutine function, its annotations say no types, or a name
            is none.
    """
    outputs = (to,) if isinstance(to, str) else tuple(to)

    def decorate(run: Callable[[Any, LLMClient], Awaitable[Any]]) -> PythonFlow:
        origin = f"{run.__module__}.{getattr(run, '__qualname__', '?')}"
        if not iscoroutinefunction(run):
            raise ConfigurationError(f"flow {origin}: it must be an 'async def'")
        named = name or run.__name__.replace("_", "-")
        dead = dead_letters or f"{input}-dlt"
        _check(origin, named, (input, *outputs, dead))
        types = annotations_of(run, origin=origin)
        made: type[Request] = type(
            f"{named}-request", (FlowRequest,), {}, type=f"{FLOW_TYPE}{named}"
        )

        @wraps(run)
        async def answer(request: Request, llm: LLMClient) -> Any:
            returned = await run(cast(FlowRequest, request).record, llm)
            return _encoded(returned, types, named, outputs)

        return PythonFlow(
            record=made,
            run=answer,
            prompt=prompt,
            name=named,
            input=input,
            outputs=outputs,
            dead_letters=dead,
            start=start,
            annotations=types,
            id=id,
            model=model,
            cache=cache,
        )

    return decorate


def _check(origin: str, name: str, topics: Sequence[str]) -> None:
    """Hold names to what the file's are held to."""
    try:
        for topic in topics:
            _TOPIC.validate_python(topic)
        _NAME.validate_python(name)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise ConfigurationError(f"flow {origin}: {wrong['input']!r}: {wrong['msg']}") from None
    if len(topics) < 3:
        raise ConfigurationError(f"flow {origin}: to: name a topic at least")


_TOPIC: TypeAdapter[str] = TypeAdapter(TopicName)
_NAME: TypeAdapter[str] = TypeAdapter(FlowName)


def _encoded(returned: Any, types: Annotations, flow: str, outputs: Sequence[str]) -> Any:
    """Return what a coroutine returned as JSON: a list of records."""
    items = [] if returned is None else returned if isinstance(returned, list) else [returned]
    records = []
    for item in items:
        emitted = item if isinstance(item, Emit) else Emit(item)
        to = emitted.to or outputs[0]
        if to not in outputs:
            known = ", ".join(outputs)
            raise InternalError(f"flow '{flow}' emits to a topic that it does not name: {known}")
        try:
            text = types.encode(emitted.value)
        except (ValidationError, PydanticSerializationError):
            text = None
        if text is None:
            raise InternalError(f"flow '{flow}' returned what its annotation does not allow")
        fields: dict[str, Any] = {"to": to, "value": text}
        if emitted.key is not SAME_KEY:
            key = emitted.key.encode() if isinstance(emitted.key, str) else emitted.key
            fields["key"] = None if key is None else b64encode(key).decode()
        if emitted.headers:
            fields["headers"] = dict(emitted.headers)
        records.append(fields)
    return records


def _emission(
    fields: dict[str, Any], record: SourceRecord, own: Sequence[tuple[str, bytes]]
) -> Emission:
    given = fields.get("headers", {})
    headers = [pair for pair in own if pair[0] not in given]
    headers += [(name, text.encode()) for name, text in given.items()]
    key = record.key
    if "key" in fields:
        key = None if fields["key"] is None else b64decode(fields["key"])
    value = fields["value"].encode()
    return Emission(fields["to"], value, key, headers, keeps_key="key" not in fields)
