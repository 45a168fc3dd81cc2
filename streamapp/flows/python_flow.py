"""Flows in Python: a coroutine from one typed topic to others, written as Faust agents are.

@flow("shop.reviews", to="shop.reviews.labelled")
async def label(review: Review, llm: LLMClient) -> Labelled | None: ...
"""

from collections.abc import Awaitable, Callable, Sequence
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from streamapp.errors import ConfigurationError
from streamapp.flows.annotations import annotations_of
from streamapp.flows.coroutine_flow import FlowRequest, PythonFormats
from streamapp.flows.coroutine_flow import PythonFlow as PythonFlow
from streamapp.flows.flow import Bounds, Start
from streamapp.flows.formats.codec import JsonDecoder, JsonEncoder
from streamapp.llm.client import LLMClient
from streamapp.processors.registry import FLOW_TYPE
from streamapp.records.request import Request
from streamapp.settings.flows import FlowName, FlowSettings, Format, TopicName


def flow(
    input: str,
    *,
    to: str | Sequence[str],
    reply_topics: Sequence[str] = (),
    name: str | None = None,
    start: Start = "latest",
    dead_letters: str | None = None,
    prompt: str | None = None,
    model: str | None = None,
    cache: bool = True,
    id: Callable[[Any], str] | None = None,
    tenant: Callable[[Any], str | None] | None = None,
    weight: float = 1.0,
    max_in_flight: int | None = None,
    ordering: Literal["key", "partition", "none"] | None = None,
    deadline_s: float | None = None,
    format: Format | None = None,
    message: str | None = None,
    output_format: Format | None = None,
    output_schema: str | None = None,
    output_message: str | None = None,
    register_schemas: bool = False,
) -> Callable[[Callable[[Any, LLMClient], Awaitable[Any]]], PythonFlow]:
    """Make a coroutine a flow; code and tests call it as the coroutine that it is.

    Args:
        input: The topic that it reads; it exists already.
        to: The topics that it may write to; the first is the default one.
        reply_topics: Topics that a record may name in its header ``reply-to``: what has no topic
            of its own goes there, in the format of the default one.
        name: Default: that of the coroutine, with ``-`` for ``_``.
        start: Where it begins on a topic that it never read.
        dead_letters: Default: the input's name and ``-dlt``.
        prompt: What ``llm.generate`` renders.
        model: The route of its calls; default: the prompt's, else ``default``.
        cache: Whether answers may come from, or be given to, equal calls.
        id: Returns the id of a value, where it has one of its own.
        tenant: Returns the tenant of a value, for budgets and fairness; None for nobody's.
        weight: Its part of the worker's slots, beside the other flows.
        max_in_flight: Most of its records at once; default: its share.
        ordering: As the setting of that name, for this flow.
        deadline_s: As the setting of that name, for this flow.
        format: Of the input, as in the file; default: ``text`` for `str`, else ``json``.
        message: The class of the input in Protobuf.
        output_format: Of the topics that it writes to; default: ``text`` for `str`, else ``json``.
        output_schema: File of their schema; for JSON Schema default that of the annotation.
        output_message: Their class in Protobuf.
        register_schemas: Whether their schema is registered where it is not.

    Raises:
        ConfigurationError: It is no coroutine function, its annotations say no types, or a name
            is none.
    """
    outputs = (to,) if isinstance(to, str) else tuple(to)

    def decorate(run: Callable[[Any, LLMClient], Awaitable[Any]]) -> PythonFlow:
        origin = f"{run.__module__}.{getattr(run, '__qualname__', '?')}"
        if isasyncgenfunction(run):
            raise ConfigurationError(f"flow {origin}: return a list of records, and yield none")
        if not iscoroutinefunction(run):
            raise ConfigurationError(f"flow {origin}: it must be an 'async def'")
        named = name or run.__name__.replace("_", "-")
        dead = dead_letters or f"{input}-dlt"
        _check(origin, named, (input, *outputs, *reply_topics, dead), outputs)
        types = annotations_of(run, origin=origin)
        said = _settings(
            origin,
            input=input,
            type=named,
            output=outputs[0],
            shape="output",
            start=start,
            weight=weight,
            max_in_flight=max_in_flight,
            ordering=ordering,
            deadline_s=deadline_s,
            format=format or ("text" if types.is_text else "json"),
            message=message,
            output_format=output_format or ("text" if types.emits_text else "json"),
            output_schema=output_schema,
            output_message=output_message,
            register_schemas=register_schemas,
        )
        formats = PythonFormats(
            said.format,
            said.output_format,
            message=said.message,
            output_schema=said.output_schema,
            output_message=said.output_message,
            register_schemas=said.register_schemas,
        )
        made: type[Request] = type(
            f"{named}-request", (FlowRequest,), {}, type=f"{FLOW_TYPE}{named}"
        )

        return PythonFlow(
            record=made,
            run=run,
            prompt=prompt,
            name=named,
            input=input,
            outputs=outputs,
            reply_topics=tuple(reply_topics),
            dead_letters=dead,
            start=said.from_,
            annotations=types,
            id=id,
            tenant=tenant,
            model=model,
            cache=cache,
            bounds=Bounds(said.weight, said.max_in_flight, said.ordering, said.deadline_s),
            formats=formats,
            decoder=JsonDecoder(),
            encoders=dict.fromkeys(outputs, JsonEncoder()),
        )

    return decorate


def _check(origin: str, name: str, topics: Sequence[str], outputs: Sequence[str]) -> None:
    """Hold names to what the file's are held to."""
    try:
        for topic in topics:
            _TOPIC.validate_python(topic)
        _NAME.validate_python(name)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise ConfigurationError(f"flow {origin}: {wrong['input']!r}: {wrong['msg']}") from None
    if not outputs:
        raise ConfigurationError(f"flow {origin}: to: name a topic at least")


def _settings(origin: str, **options: Any) -> FlowSettings:
    """Return the options as the settings of a flow of the file, held to the same rules.

    Raises:
        ConfigurationError: One is wrong, or two do not go together.
    """
    given = {"from" if name == "start" else name: value for name, value in options.items()}
    of_annotation = given["output_format"] == "json-schema" and given["output_schema"] is None
    if of_annotation:
        given["output_schema"] = "the annotation"
    try:
        found = FlowSettings.model_validate(given)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        option = ".".join(map(str, wrong["loc"])).replace("from", "start")
        place = f"{option}: " if option else ""
        problem = wrong["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"flow {origin}: {place}{problem}") from None
    return found.model_copy(update={"output_schema": None}) if of_annotation else found


_TOPIC: TypeAdapter[str] = TypeAdapter(TopicName)
_NAME: TypeAdapter[str] = TypeAdapter(FlowName)
