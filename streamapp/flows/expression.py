"""Templates of a flow over its source record: sandboxed Jinja that keeps native types.

A text that is one ``{{ ... }}`` gives the value itself, a number or a list as they are; any other
text is rendered. Nothing is called and nothing but fields is looked up, so a field named
``items`` is that field; numbers alone are multiplied.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import jinja2
from jinja2 import TemplateError, Undefined, nodes
from jinja2.environment import TemplateExpression
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from streamapp.errors import ConfigurationError, InvalidRecord, PromptError
from streamapp.flows.absent import Absent, AbsentError, Unreadable
from streamapp.flows.kinds import kind_of
from streamapp.prompts.sandbox import join, parse, to_json
from streamapp.prompts.template_syntax import shown, syntax_mend

#: What templates see of a record.
NAMES = ("value", "key", "headers", "topic", "partition", "offset", "timestamp")

_FILTERS = (
    "abs", "default", "first", "float", "int", "last", "length", "list", "lower", "max", "min",
    "replace", "round", "sort", "string", "sum", "trim", "truncate", "unique", "upper",
)  # fmt: skip
_TESTS = ("defined", "undefined", "none", "string", "number", "boolean", "mapping", "in")
_NODES: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.Name, nodes.Const,
    nodes.Filter, nodes.Test, nodes.Keyword, nodes.CondExpr, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Add,
    nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos,
    nodes.Concat, nodes.List, nodes.Dict, nodes.Pair, nodes.Tuple,
)  # fmt: skip

#: Deepest nesting of a template.
_DEPTH_LIMIT = 50
#: What goes wrong in a template for the record's sake.
_ERRORS = (
    TemplateError, PromptError, TypeError, ValueError, ArithmeticError, LookupError,
    AttributeError, RecursionError,
)  # fmt: skip


class _Environment(ImmutableSandboxedEnvironment):
    """Looks up fields of objects alone, never what Python has under that name."""

    intercepted_binops = frozenset({"*", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        try:
            return obj[argument]
        except (LookupError, TypeError):
            return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if not all(isinstance(operand, int | float | Decimal) for operand in (left, right)):
            raise TypeError(f"{operator} is for numbers")
        return super().call_binop(context, operator, left, right)


class Expression:
    """One compiled template.

    Args:
        text: As the operator wrote it.
        place: Flow and field, for messages.

    Attributes:
        is_value: Whether it is one ``{{ ... }}`` and gives a value, not a text.

    Raises:
        ConfigurationError: It is wrong, or names what there is not.
    """

    __slots__ = ("_paths", "_place", "_run", "_text", "is_value")

    def __init__(self, text: str, *, place: str) -> None:
        self._place = place
        self._text = shown(text)
        environment = _environment()
        try:
            tree = parse(environment, text)
            _check(tree)
            alone = _alone(tree)
            self._paths = list(_paths(tree))
            self.is_value = alone is not None
            self._run = _compiled(environment, tree, alone)
        except jinja2.TemplateSyntaxError as error:
            problem = f"the template '{shown(text)}': {syntax_mend(error.message)}"
            raise ConfigurationError(f"{place}: {problem}") from None
        except (PromptError, TemplateError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"{place}: {error}") from None

    def __call__(self, scope: Mapping[str, Any]) -> Any:
        """Return the value, or the text, for one record.

        Raises:
            InvalidRecord: The record lacks what the template asks for, or it is of another kind.
        """
        try:
            value = self._run(scope)
            if not isinstance(value, Absent):
                return value
            problem = self._missing(value, scope)
        except AbsentError as error:
            problem = self._missing(error.absent, scope)
        except _ERRORS as error:
            problem = self._misfit(scope, error)
        # Outside of the block: the error may hold the record's values.
        raise InvalidRecord(f"{self._place}: {problem}")

    def _misfit(self, scope: Mapping[str, Any], error: Exception) -> str:
        """Say of what kind the record's fields are, which the template cannot take; no value."""
        kinds = []
        for path in self._paths:
            if any(longer[: len(path)] == path and longer != path for longer in self._paths):
                continue
            found = _found(path, scope)
            if not isinstance(found, Undefined):
                kinds.append(f"{'.'.join(map(str, path))} is {kind_of(found)}")
        why = "" if isinstance(error, TypeError) else f" ({type(error).__name__})"
        given = f": {', '.join(kinds)}" if kinds else ""
        return f"the record does not fit the template '{self._text}'{why}{given}"

    def _missing(self, absent: Absent, scope: Mapping[str, Any]) -> str:
        """Name the field of the template that the record does not have; what it held is no name."""
        for one in absent.chain:
            if isinstance(one, Unreadable):
                return one.problem
            if isinstance(one.name, Absent):  # it was looked up by a field that is missing itself
                return self._missing(one.name, scope)
        for path in self._paths:
            if _is_at(path, absent, scope):
                return f"{'.'.join(map(str, path))} is missing"
        return "something that the template asks for is missing"


def _found(path: tuple[Any, ...], scope: Mapping[str, Any]) -> Any:
    """Return what the record has there."""
    found: Any = scope
    for part in path:
        try:
            found = found[part]
        except (LookupError, TypeError):
            return Absent()
    return found


def _is_at(path: tuple[Any, ...], field: Any, scope: Mapping[str, Any]) -> bool:
    """Whether a field that was looked up, perhaps of one that is missing, is that of a path."""
    if isinstance(field, Absent):
        return bool(path) and path[-1] == field.name and _is_at(path[:-1], field.obj, scope)
    return _found(path, scope) is field


def compiled(value: Any, *, place: str) -> Callable[[Mapping[str, Any]], Any] | None:
    """Return what gives ``value`` for a record, templates in it filled; None where it has none.

    Raises:
        ConfigurationError: A template is wrong.
    """
    if isinstance(value, str):
        return Expression(value, place=place) if is_template(value) else None
    if isinstance(value, Mapping):
        items = {name: compiled(v, place=f"{place}.{name}") for name, v in value.items()}
        if not any(items.values()):
            return None
        return lambda scope: {n: (f(scope) if f else value[n]) for n, f in items.items()}
    if isinstance(value, list):
        parts = [compiled(v, place=f"{place}[{i}]") for i, v in enumerate(value)]
        if not any(parts):
            return None
        return lambda scope: [f(scope) if f else v for f, v in zip(parts, value, strict=True)]
    return None


def is_template(text: str) -> bool:
    """Whether a text of the settings is filled for each record."""
    return "{{" in text or "{%" in text


@jinja2.pass_environment
def _unique(environment: jinja2.Environment, *args: Any, **kwargs: Any) -> list[Any]:
    """Return a list: jinja's own gives what a text shows as an object of Python."""
    return list(FILTERS["unique"](environment, *args, **kwargs))


def _environment() -> _Environment:
    environment = _Environment(undefined=Absent, autoescape=False, cache_size=0)
    environment.globals.clear()
    environment.filters = {name: FILTERS[name] for name in _FILTERS}
    environment.filters |= {"json": to_json, "join": join, "unique": _unique}
    environment.tests = {name: TESTS[name] for name in _TESTS}
    return environment


def _compiled(
    environment: _Environment, tree: nodes.Template, alone: nodes.Expr | None
) -> Callable[[Mapping[str, Any]], Any]:
    if alone is None:
        return environment.from_string(tree).render
    # As Environment.compile_expression does it, from a tree that was checked.
    body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store"), alone, lineno=1)]
    template = environment.from_string(nodes.Template(body, lineno=1))
    return TemplateExpression(template, undefined_to_none=False)


def _alone(tree: nodes.Template) -> nodes.Expr | None:
    """Return the one expression that the template is, if it is."""
    match tree.body:
        case [nodes.Output(nodes=[expression])] if not isinstance(expression, nodes.TemplateData):
            return expression
    return None


def _paths(tree: nodes.Node) -> Iterator[tuple[Any, ...]]:
    """Yield the fields that are looked up by written-out names, longest first."""
    found = {
        path for node in tree.find_all((nodes.Getattr, nodes.Getitem)) if (path := _path(node))
    }
    found |= {(node.name,) for node in tree.find_all(nodes.Name)}
    yield from sorted(found, key=lambda path: (-len(path), str(path)))


def _path(node: nodes.Node) -> tuple[Any, ...] | None:
    match node:
        case nodes.Name():
            return (node.name,)
        case nodes.Getattr():
            above = _path(node.node)
            return None if above is None else (*above, node.attr)
        case nodes.Getitem(arg=nodes.Const(value=index)):
            above = _path(node.node)
            return None if above is None else (*above, index)
    return None


def _check(node: nodes.Node, depth: int = 0) -> None:
    """Refuse what a template has no need of.

    Raises:
        ValueError: Says what and what there is instead.
    """
    match node:
        case _ if depth > _DEPTH_LIMIT:
            raise ValueError(f"it is nested more than {_DEPTH_LIMIT} deep")
        case nodes.Name() if node.name not in NAMES:
            raise ValueError(f"there is no '{node.name}': use one of {', '.join(NAMES)}")
        case nodes.Filter() if node.name not in (*_FILTERS, "json", "join"):
            known = ", ".join(sorted((*_FILTERS, "json", "join")))
            raise ValueError(f"there is no filter '{node.name}': use one of {known}")
        case nodes.Test() if node.name not in _TESTS:
            raise ValueError(f"there is no test '{node.name}': use one of {', '.join(_TESTS)}")
        case _ if not isinstance(node, _NODES):
            kind = type(node).__name__.lower()
            raise ValueError(f"'{kind}' is not allowed: use fields, filters, if and operators")
    for child in node.iter_child_nodes():
        _check(child, depth + 1)
