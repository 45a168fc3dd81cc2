"""The types of a Python flow's topics, read from the annotations of its coroutine."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutine, signature
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError

from streamapp.errors import ConfigurationError, InvalidRecord, Undecodable
from streamapp.flows.emit import Emit, Incoming
from streamapp.llm.client import LLMClient
from streamapp.records.framing import frame_of, without_mark
from streamapp.records.problems import describe
from streamapp.records.returned import as_json, why_no_json

_EXAMPLE = "(review: Review, llm: LLMClient) -> Labelled | None"


@dataclass(frozen=True, slots=True)
class Annotations:
    """What a flow reads and what it emits.

    Attributes:
        value: Of the input.
        emitted: Of one emitted value.
        is_incoming: Whether the coroutine takes an `Incoming`.
        takes_none: Whether a record without a value is one for it.
        is_text: Whether values of the input are text, and no JSON.
        emits_text: Whether emitted values are text, and no JSON.
    """

    value: TypeAdapter[Any]
    emitted: TypeAdapter[Any]
    is_incoming: bool
    takes_none: bool
    is_text: bool
    emits_text: bool
    model: type[BaseModel]

    def decode(self, value: bytes | None, *, flow: str) -> Any:
        """Return the value of a record; None for null, whatever the type.

        Raises:
            Undecodable: It is not JSON, or no UTF-8.
            InvalidRecord: It is not of the annotated type; names fields and no value.
        """
        if value is None:
            return None
        if self.is_text:
            try:
                return value.decode("utf-8-sig")
            except UnicodeDecodeError:
                problem = "the value is not UTF-8 text"
            raise Undecodable(f"flow '{flow}': {problem}")
        value = without_mark(value)
        if value.strip() == b"null":
            return None
        try:
            return self.value.validate_json(value)
        except ValidationError as error:
            is_json = error.errors(include_input=False, include_url=False)[0]["type"]
            failure = Undecodable if is_json == "json_invalid" else InvalidRecord
            problem = describe(error, self.model)
        if failure is Undecodable:
            problem = frame_of(value, in_flow=True) or "the value is not JSON in UTF-8"
        # Outside of the block: pydantic's error holds the record's values.
        raise failure(f"flow '{flow}': {problem}")

    def check(self, value: Any, *, flow: str) -> Any:
        """Return a decoded value as it is annotated; raises `InvalidRecord`."""
        try:
            return self.value.validate_python(value)
        except ValidationError as error:
            problem = describe(error, self.model)
        raise InvalidRecord(f"flow '{flow}': {problem}")

    def emitted_value(self, text: str) -> Any:
        """Return what `encode` wrote as values of Python, for formats other than JSON."""
        if self.emits_text:
            return text
        return self.emitted.dump_python(self.emitted.validate_json(text), warnings="error")

    @property
    def emitted_schema(self) -> str:
        """The JSON Schema of what is emitted."""
        return json.dumps(self.emitted.json_schema(mode="serialization"))

    def encode(self, value: Any) -> str:
        """Return an emitted value as it is written.

        Raises:
            ValueError: It is not of the annotated type, or no JSON.
        """
        checked = self.emitted.validate_python(value)
        if self.emits_text:
            return str(checked)
        return as_json(checked, self.emitted, warnings="error").decode()

    def misfit(self, value: Any, error: ValueError) -> str:
        """Return why `encode` raised, behind a colon: types and fields, and no values."""
        if iscoroutine(value) or not isinstance(error, ValidationError):
            return why_no_json(value, error)
        return f": {type(value).__qualname__}: {describe(error, BaseModel)}"


def annotations_of(run: Callable[..., Any], *, origin: str) -> Annotations:
    """Return the types that a coroutine function is annotated with.

    Raises:
        ConfigurationError: An annotation is missing, or none that can be read.
    """
    try:
        hints = get_type_hints(run, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigurationError(
            f"flow {origin}: its annotations cannot be read: {error}"
        ) from None
    _check_parameters(run, origin)
    first = next(iter(signature(run).parameters))
    if first not in hints or "return" not in hints:
        raise ConfigurationError(f"flow {origin}: annotate it, as {_EXAMPLE}")
    given, is_incoming = hints[first], False
    if given is LLMClient:
        raise ConfigurationError(f"flow {origin}: the record comes first: {_EXAMPLE}")
    if any(Incoming in (member, get_origin(member)) for member in _members(given)) and (
        get_origin(given) is not Incoming
    ):
        raise ConfigurationError(
            f"flow {origin}: say what is in it, as Incoming[Review] or Incoming[Review | None]"
        )
    if get_origin(given) is Incoming:
        (given,), is_incoming = get_args(given), True
    emitted = _emitted(hints["return"])
    if not emitted:
        raise ConfigurationError(f"flow {origin}: it returns None alone: annotate what it emits")
    if list in emitted or Emit in emitted:
        raise ConfigurationError(
            f"flow {origin}: say what it emits, as list[Labelled] or Emit[Labelled]"
        )
    union: Any = Union[tuple(emitted)]  # noqa: UP007  # of types that are known at run time
    try:
        value, output = TypeAdapter(given), TypeAdapter(union)
    except PydanticUserError as error:
        raise ConfigurationError(f"flow {origin}: {error.message.splitlines()[0]}") from None
    is_model = isinstance(given, type) and issubclass(given, BaseModel)
    return Annotations(
        value,
        output,
        is_incoming=is_incoming,
        takes_none=NoneType in _members(given),
        is_text=given is str,
        emits_text=emitted == [str],
        model=given if is_model else BaseModel,
    )


def _check_parameters(run: Callable[..., Any], origin: str) -> None:
    """Refuse what cannot be called with a record and the client."""
    try:
        signature(run).bind(None, None)
    except TypeError:
        raise ConfigurationError(
            f"flow {origin}: it is called with the record and the client: {_EXAMPLE}"
        ) from None


def _emitted(annotation: Any) -> list[Any]:
    """Return the types of values that a return annotation allows, out of lists and `Emit`."""
    found: list[Any] = []
    for member in _members(annotation):
        if member is NoneType:
            continue
        if get_origin(member) in (list, Emit):
            found += _emitted(get_args(member)[0])
        else:
            found.append(member)
    return list(dict.fromkeys(found))


def _members(annotation: Any) -> tuple[Any, ...]:
    is_union = get_origin(annotation) in (Union, UnionType)
    return get_args(annotation) if is_union else (annotation,)
