"""The results of steps as JSON: completions with every field that a record reads, and others."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from streamapp.errors import InternalError
from streamapp.llm.completion import Call, Completion
from streamapp.llm.durable.fingerprint import fingerprint_of
from streamapp.records.response import Usage
from streamapp.records.returned import as_json, why_no_json

S = TypeVar("S")

#: Of the provider's state at that time, and of no use later.
_LEFT_OUT = frozenset({"hints"})


def encode_completion(completion: Completion) -> bytes:
    """Return a completion as JSON."""
    fields = {name: value for name, value in vars(completion).items() if name not in _LEFT_OUT}
    usage = vars(completion.usage)
    cost_usd = completion.cost_usd
    return to_json(
        fields | {"usage": usage, "cost_usd": None if cost_usd is None else format(cost_usd, "f")}
    )


def decode_completion(value: bytes) -> Completion:
    """Return the completion that `encode_completion` wrote; its tokens and cost are its own."""
    fields: dict[str, Any] = from_json(value)
    usage, cost_usd = fields.pop("usage"), fields.pop("cost_usd")
    original = fields.pop("original_usage", None)
    calls = tuple(fields.pop("tool_calls", ()))
    return Completion(
        **fields,
        tool_calls=calls,
        usage=Usage.model_validate(usage),
        original_usage=None if original is None else Usage.model_validate(original),
        cost_usd=None if cost_usd is None else Decimal(cost_usd),
    )


def fingerprint_of_call(call: Call) -> str:
    """Return the fingerprint of what a call asks."""
    return fingerprint_of(
        call.operation,
        call.model,
        call.messages,
        call.inputs,
        call.parameters,
        call.output_schema,
        *((call.sample,) if call.sample else ()),
    )


class StepResults(Generic[S]):
    """The results of a coroutine function as JSON; errors name it, and never what it gave."""

    def __init__(self, make: Callable[..., Awaitable[S]]) -> None:
        self._adapter = adapter_of(make)
        self._make = make

    def encode(self, result: S) -> bytes:
        """Return a result as JSON; raises `InternalError` where it is none."""
        try:
            return as_json(result, self._adapter)
        except ValueError as error:
            why = why_no_json(result, error)
        raise InternalError(f"step {self._origin} returned what is not JSON{why}")

    def decode(self, stored: bytes) -> S:
        """Return the result of its JSON; raises `InternalError` where the annotation forbids it."""
        try:
            return self._adapter.validate_json(stored)
        except ValidationError:
            pass  # the error holds the result
        raise InternalError(f"step {self._origin} returned what its annotation does not allow")

    @property
    def _origin(self) -> str:
        module, name = (getattr(self._make, f"__{it}__", "?") for it in ("module", "qualname"))
        return f"{module}.{name}"


def adapter_of(make: Callable[..., Awaitable[S]]) -> TypeAdapter[S]:
    """Return how results of ``make`` are written and read: by its annotation, else as JSON."""
    found: Any = annotations_of(make).get("return", Any)
    return TypeAdapter(found)


def annotations_of(make: Callable[..., Any]) -> dict[str, Any]:
    """Return its annotations, resolved; none where they cannot be."""
    try:
        return get_type_hints(make, include_extras=True)
    except (NameError, TypeError):  # names that only a type checker knows, or no function
        return {}
