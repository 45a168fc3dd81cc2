"""The registry of processors by record type, found by importing modules."""

import pkgutil
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import iscoroutinefunction, signature
from types import ModuleType
from typing import Any, TypeVar, cast

from streamapp.errors import (
    ConfigurationError,
    Failure,
    InternalError,
    InvalidRecord,
    UnknownType,
)
from streamapp.llm.client import LLMClient
from streamapp.records.codec import parse, validate
from streamapp.records.framing import envelope_of
from streamapp.records.problems import near
from streamapp.records.request import Request
from streamapp.records.returned import as_values, why_no_json
from streamapp.telemetry.frames import told_by_place

R = TypeVar("R", bound=Request)

#: How the types of requests begin that flows in Python make: nobody else can send one.
FLOW_TYPE = "flow:"

_BUILTIN = "streamapp.processors"
_WITHIN_BUILTIN = f"{_BUILTIN}."
_SETTING = "STREAMAPP_PROCESSORS"
#: Said to who can set it, behind a type that there is not.
OWN_TYPES = f"types of your own come from the modules in {_SETTING}"


@dataclass(frozen=True, slots=True)
class Processor:
    """How records of one type are answered.

    Attributes:
        record: The type's record class.
        run: The coroutine; it returns the response's ``output``, which must be JSON.
        prompt: The prompt of records that name none; None where the type has no default.
    """

    record: type[Request]
    run: Callable[[Any, LLMClient], Awaitable[Any]]
    prompt: str | None

    async def __call__(self, record: Any, llm: LLMClient) -> Any:
        """Run the coroutine itself, as code and tests call it."""
        return await self.run(record, llm)

    @property
    def type(self) -> str:
        """The value of the record's field ``type``."""
        return self.record.record_type

    @property
    def variables(self) -> frozenset[str] | None:
        """What it gives its prompt: the record's own fields; None where only it knows."""
        if not self.origin.startswith(f"{_BUILTIN}."):
            return None
        fields = self.record.model_fields.items()
        own = (field.alias or name for name, field in fields if name not in Request.model_fields)
        return frozenset(own)

    @property
    def is_single_call(self) -> bool:
        """Whether it makes one call and hands its result on as it is: all built-in ones do."""
        # Asked for each record.
        return f"{self.run.__module__}.".startswith(_WITHIN_BUILTIN)

    async def output(self, request: Request, llm: LLMClient) -> Any:
        """Run it, and return what it returned.

        Raises:
            InternalError: That is not JSON.
        """
        output = await self.returned(request, llm)
        if self.is_single_call or output is getattr(llm.tally.last, "output", None):
            return output
        try:
            return as_values(output)
        except ValueError as error:
            why = why_no_json(output, error)
        problem = f"the processor of '{self.type}' returned what is not JSON{why}"
        raise InternalError(problem)  # outside of the block: the cause may hold the output

    async def returned(self, request: Request, llm: LLMClient) -> Any:
        """Return what the coroutine returns for a request."""
        return await self.run(request, llm)

    @property
    def origin(self) -> str:
        """Module and name of the coroutine, for messages."""
        return f"{self.run.__module__}.{getattr(self.run, '__qualname__', '?')}"


def processor(
    record: type[R], *, prompt: str | None = None
) -> Callable[[Callable[[R, LLMClient], Awaitable[Any]]], Processor]:
    """Make a coroutine the processor of ``record``.

    Args:
        record: A subclass of `Request` with a ``type``.
        prompt: The prompt of records that name none.

    Raises:
        ConfigurationError: ``record`` has no type of its own, or it is no coroutine function of
            two parameters.
    """
    if "record_type" not in vars(record):
        raise ConfigurationError(
            f'{record.__name__} has no type: write class {record.__name__}(Request, type="...")'
        )

    def decorate(run: Callable[[R, LLMClient], Awaitable[Any]]) -> Processor:
        if not iscoroutinefunction(run):
            raise ConfigurationError(f"the processor of {record.__name__} must be an 'async def'")
        try:
            signature(run).bind(None, None)
        except TypeError:
            raise ConfigurationError(
                f"the processor of {record.__name__} gets the record and the client: write"
                " 'async def NAME(request, llm)'"
            ) from None
        return Processor(record, run, prompt)

    return decorate


class Registry:
    """The processors of one app, by record type."""

    def __init__(self, processors: Iterable[Processor]) -> None:
        """Take the processors.

        Raises:
            ConfigurationError: Two of them answer the same type; a line for each type.
        """
        self._processors: dict[str, Processor] = {}
        problems = []
        for found in processors:
            known = self._processors.setdefault(found.type, found)
            if known is not found:
                problems.append(
                    f"two processors for the record type '{found.type}': {known.origin} and"
                    f" {found.origin}; give one another type"
                )
        if problems:
            raise ConfigurationError("\n".join(problems))

    @classmethod
    def load(cls, modules: Iterable[str] = ()) -> "Registry":
        """Return the built-in processors and those in ``modules``.

        Args:
            modules: Dotted names; a module's processors are its attributes.

        Raises:
            ConfigurationError: A module is missing, cannot be imported or has no processor, or
                two processors answer the same type; a line for each.
        """
        package = import_module(_BUILTIN)
        names = sorted(found.name for found in pkgutil.iter_modules(package.__path__))
        builtin = [import_module(f"{_BUILTIN}.{name}") for name in names]
        found = [one for module in builtin for one in _processors_in(module)]
        problems = []
        for name in modules:
            try:
                found += _own_processors(name)
            except ConfigurationError as error:
                problems.append(str(error))
        try:
            registry = cls(found)
        except ConfigurationError as error:
            problems.append(str(error))
        if problems:
            raise ConfigurationError("\n".join(problems))
        return registry

    @property
    def types(self) -> tuple[str, ...]:
        """The record types, sorted, without those that flows in Python make for themselves."""
        return tuple(sorted(type for type in self._processors if not type.startswith(FLOW_TYPE)))

    @property
    def processors(self) -> tuple[Processor, ...]:
        """All processors, those of flows in Python included."""
        return tuple(self._processors.values())

    def processor_for(self, type: str) -> Processor:
        """Return the processor of a record type.

        Raises:
            UnknownType: There is none.
        """
        if type in self._processors:
            return self._processors[type]
        raise UnknownType(f"field 'type': there is no such record type{self.instead_of(type)}")

    def instead_of(self, type: str) -> str:
        """Return what to say behind a type that there is not: one like it, and all there are."""
        return f"{near(type, self.types)}; there are {', '.join(self.types)}"

    def _sendable(self, type: str) -> Processor:
        """Return the processor of a type that records can name; raises `UnknownType`."""
        return self.processor_for("" if type.startswith(FLOW_TYPE) else type)

    def decode(self, value: bytes | None) -> Request:
        """Return the request that a record's bytes hold.

        Raises:
            Undecodable: The value is missing, empty or not strict JSON.
            InvalidRecord: It is no object, or a field is missing, unknown or wrong.
            UnknownType: No processor answers its type.
            InternalError: A validator of the record class has a bug.
        """
        fields = parse(value)
        try:
            record = self._sendable(_type_of(fields)).record
        except Failure as failure:
            if envelope := envelope_of(fields):
                raise type(failure)(envelope) from None
            raise
        try:
            return validate(record, cast("bytes", value))
        except Failure:
            raise
        except Exception as error:
            raise InternalError(f"{record.__name__} raised {type(error).__name__}") from error


def _type_of(fields: Mapping[str, Any]) -> str:
    type = fields.get("type")
    if isinstance(type, str):
        return type
    problem = "must be text" if "type" in fields else "is missing: add it"
    raise InvalidRecord(f"field 'type' {problem}")


def _own_processors(module: str) -> list[Processor]:
    """Return those of a module of the user's; raises as `Registry.load`."""
    found = _processors_in(_imported(module))
    if not found:
        raise ConfigurationError(f"{_SETTING}: module '{module}' has no @processor and no @flow")
    return found


def _imported(name: str) -> ModuleType:
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:  # of a script that is no module
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise ConfigurationError(
                f"{_SETTING}: there is no module '{name}'; is its folder on PYTHONPATH?"
            ) from error
        raise ConfigurationError(f"{_SETTING}: module '{name}': {told_by_place(error)}") from error


def _processors_in(module: ModuleType) -> list[Processor]:
    return [value for value in vars(module).values() if isinstance(value, Processor)]
