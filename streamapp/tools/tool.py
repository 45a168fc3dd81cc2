"""Typed tools: a coroutine's name, docstring and annotations are what the model knows of it.

@tool
async def order_status(number: str) -> OrderStatus: ...
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter, cleandoc, iscoroutinefunction, signature
from typing import Annotated, Any, NotRequired, cast, overload

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from typing_extensions import TypedDict

from streamapp.errors import ConfigurationError, Failure, InternalError, ToolError
from streamapp.llm.client import LLMClient
from streamapp.llm.durable.results import adapter_of, annotations_of
from streamapp.llm.durable.scope import is_cancelled
from streamapp.records.returned import as_json, why_no_json
from streamapp.tools.offered import NAME_LIMIT, wire_name

Run = Callable[..., Awaitable[Any]]

#: Longest time of one call where a tool names none, seconds.
TIMEOUT_S = 30.0

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_SECTION = re.compile(
    r"^\s*(Args|Arguments|Parameters|Returns?|Raises|Yields|Examples?):\s*$", re.M
)
_ARGUMENT = re.compile(
    r"^(?: {4}|\t)(\w+)(?:\s*\([^)]*\))?:[ \t]*(.+(?:\n(?: {6,}|\t\t).+)*)", re.M
)


@dataclass(frozen=True, slots=True)
class Tool:
    """A coroutine that a model may call; made by `tool`.

    Attributes:
        arguments: Validates its arguments, by their names.
        results: Writes what it returns.
        client: The name of the parameter that takes the record's client; None without one.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    timeout_s: float
    run: Run
    arguments: TypeAdapter[dict[str, Any]]
    results: TypeAdapter[Any]
    client: str | None

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the coroutine itself, as code and tests call it."""
        return await self.run(*args, **kwargs)

    @property
    def origin(self) -> str:
        """Module and name of the coroutine, for messages."""
        return f"{self.run.__module__}.{getattr(self.run, '__qualname__', '?')}"

    async def call(self, arguments: Mapping[str, Any], llm: LLMClient) -> str:
        """Return the result as text: itself where it is text, else its JSON.

        Raises:
            ToolError: The arguments are wrong, or the tool says so.
            Failure: Of a call that it made.
            InternalError: It raised something else, or returned what is not JSON.
        """
        try:
            passed = self.arguments.validate_python(arguments)
        except ValidationError as error:
            raise ToolError(f"the arguments are wrong: {_told(error)}") from None
        if self.client is not None:
            passed[self.client] = llm
        try:
            result = await self.run(**passed)
        except (ToolError, Failure):
            raise
        except (Exception, asyncio.CancelledError, SystemExit, KeyboardInterrupt) as error:
            if is_cancelled(error):
                raise
            raise InternalError(f"tool {self.origin} raised {type(error).__name__}") from error
        if isinstance(result, str):
            return result
        try:
            return as_json(result, self.results).decode()
        except ValueError as error:
            problem = f"tool {self.origin} returned what is not JSON{why_no_json(result, error)}"
        raise InternalError(problem)  # outside of the block: the cause may hold the result


@overload
def tool(run: Run) -> Tool: ...


@overload
def tool(*, name: str | None = None, timeout_s: float = TIMEOUT_S) -> Callable[[Run], Tool]: ...


def tool(
    run: Run | None = None, *, name: str | None = None, timeout_s: float = TIMEOUT_S
) -> Tool | Callable[[Run], Tool]:
    """Make a coroutine function a tool.

    Its docstring tells the model what it does, up to the section ``Args:``, which tells of the
    arguments. A parameter of the type `LLMClient` is filled in and not shown to the model.

    Args:
        run: The coroutine function.
        name: Default: the function's own; ``shop.order`` belongs to ``shop.*``.
        timeout_s: Longest time of one call, seconds.

    Raises:
        ConfigurationError: It is no coroutine function, or a parameter has no usable annotation.
    """
    if run is None:
        return lambda found: _made(found, name, timeout_s)
    return _made(run, name, timeout_s)


def _made(run: Run, name: str | None, timeout_s: float) -> Tool:
    origin = f"{run.__module__}.{getattr(run, '__qualname__', '?')}"
    if not iscoroutinefunction(run):
        raise ConfigurationError(f"tool {origin} must be an 'async def'")
    name = name or run.__name__
    if not _NAME.fullmatch(name) or len(wire_name(name)) > NAME_LIMIT:
        raise ConfigurationError(
            f"tool {origin}: {name!r} is no name: letters, digits, '_', '-' and '.',"
            f" {NAME_LIMIT} at most"
        )
    if timeout_s <= 0:
        raise ConfigurationError(f"tool {origin}: timeout_s must be above 0")
    text, told = _documented(cleandoc(run.__doc__ or ""))
    fields, client, defaults = _fields(run, origin, told)
    try:
        # By dictionary, not by model: a model keeps names such as `schema` to itself.
        make: Any = TypedDict
        typed = make(f"{run.__name__}_arguments", fields)
        typed.__pydantic_config__ = ConfigDict(extra="forbid")
        arguments = cast("TypeAdapter[dict[str, Any]]", TypeAdapter(typed))
        schema = arguments.json_schema()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"tool {origin}: an annotation has no schema: {reason}") from None
    schema.pop("title", None)
    for field, default in defaults.items():
        schema["properties"][field].setdefault("default", default)
    return Tool(name, text, schema, timeout_s, run, arguments, adapter_of(run), client)


def _fields(
    run: Run, origin: str, told: Mapping[str, str]
) -> tuple[dict[str, Any], str | None, dict[str, Any]]:
    """Return the types of the arguments, the parameter that takes the client, and defaults."""
    hints, client = annotations_of(run), None
    fields: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for name, parameter in signature(run).parameters.items():
        if parameter.kind not in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY):
            raise ConfigurationError(f"tool {origin}: '{name}' cannot be given by its name")
        hint, default = hints.get(name), parameter.default
        if hint is None:
            raise ConfigurationError(f"tool {origin}: annotate the parameter '{name}'")
        if hint is LLMClient:
            client = name
            continue
        if isinstance(default, FieldInfo):
            raise ConfigurationError(f"tool {origin}: '{name}': write Annotated[..., Field(...)]")
        if name in told:
            hint = Annotated[hint, Field(description=told[name])]
        if default is not Parameter.empty:
            hint = NotRequired[hint]
            defaults[name] = to_jsonable_python(default, fallback=str)
        fields[name] = hint
    return fields, client, defaults


def _documented(text: str) -> tuple[str, dict[str, str]]:
    """Return what a docstring says of the tool, and of each argument."""
    first = _SECTION.search(text)
    if first is None:
        return text.strip(), {}
    sections = [*_SECTION.finditer(text)]
    ends = [*(section.start() for section in sections[1:]), len(text)]
    told: dict[str, str] = {}
    for section, end in zip(sections, ends, strict=True):
        if section[1] in ("Args", "Arguments", "Parameters"):
            found = _ARGUMENT.findall(text[section.end() : end])
            told |= {name: " ".join(words.split()) for name, words in found}
    return text[: first.start()].strip(), told


def _told(error: ValidationError) -> str:
    """Return what is wrong with arguments, for the model that wrote them."""
    wrong = error.errors(include_url=False, include_context=False, include_input=False)
    told = (f"{'.'.join(map(str, one['loc'])) or 'they'}: {one['msg']}" for one in wrong[:10])
    return "; ".join(told)
