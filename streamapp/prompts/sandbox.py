"""The Jinja of prompts: a sandbox without loader, in which only a few constructs exist.

A template can neither call nor look into anything, nor build text other than by writing it out,
chunk by chunk, where it is counted. Loops are one deep and over a list of bounded length.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from streamapp.errors import PromptError
from streamapp.prompts.cpu_limit import COUNTED, Counted, checked

#: Longest rendered prompt, characters; the text of a record fits several times.
RENDERED_LIMIT = 4_000_000

#: Deepest nesting, of parentheses as written and of what is parsed. A parser's own limit depends
#: on how deep its caller stands, so a text could be a version for one worker and none for another.
PARENTHESES_LIMIT, DEPTH_LIMIT = 20, 50

_FILTERS = ("default", "first", "last", "length", "lower", "trim", "truncate", "upper")
_TESTS = ("defined", "undefined")
_NODES: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Name,
    nodes.Const, nodes.Filter, nodes.Test, nodes.Keyword, nodes.CondExpr, nodes.Compare,
    nodes.Operand, nodes.And, nodes.Or, nodes.Not,
)  # fmt: skip
_LOOP = frozenset({"index", "index0", "first", "last", "length"})


def environment() -> ImmutableSandboxedEnvironment:
    """Return a fresh environment that knows the filters and tests of prompts alone."""
    jinja = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,  # prompts are text for a model, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=0,
    )
    jinja.globals.clear()
    filters = {name: FILTERS[name] for name in _FILTERS} | _OWN_FILTERS
    jinja.filters = {name: checked(filter) for name, filter in filters.items()}
    jinja.filters[COUNTED] = Counted
    jinja.tests = {name: TESTS[name] for name in _TESTS}
    return jinja


def data(value: Any, tag: str = "data") -> str:
    """Return ``value`` between tags that it cannot close: ``<tag>...</tag>``.

    Where the data holds such a tag itself, ours gets a number that does not occur in it, as
    boundaries in mail do; the data stays as it is.
    """
    text = str(value)
    taken = re.findall(rf"<[\s/]{{0,8}}{re.escape(tag)}(?:-(\d{{1,9}}))?", text, re.IGNORECASE)
    name = f"{tag}-{max(int(number or 0) for number in taken) + 1}" if taken else tag
    return f"<{name}>\n{text}\n</{name}>"


def to_json(value: Any) -> str:
    """Return ``value`` as JSON on one line, other scripts as they are.

    Raises:
        PromptError: It would be longer than a prompt can be.
    """
    # Variables are plain; what is not is one that nobody gave, whose `str` says so.
    text = json.dumps(value, ensure_ascii=False, default=str)
    _check_length(len(text))
    return text


def join(value: Iterable[Any], separator: str = "") -> str:
    """Return the items of a list as one text.

    Raises:
        PromptError: It would be longer than a prompt can be.
    """
    items = [str(item) for item in value]
    _check_length(sum(map(len, items)) + len(separator) * len(items))
    return separator.join(items)


def _check_length(characters: int) -> None:
    if characters > RENDERED_LIMIT:
        raise PromptError(f"a filter gives more than {RENDERED_LIMIT} characters")


_OWN_FILTERS: dict[str, Callable[..., str]] = {"data": data, "join": join, "json": to_json}
_KNOWN_FILTERS = frozenset({*_FILTERS, *_OWN_FILTERS})


def parse(jinja: ImmutableSandboxedEnvironment, text: str, *, line: int = 1) -> nodes.Template:
    """Return the parsed template.

    Args:
        jinja: An `environment`.
        text: Of the template.
        line: Where it begins in its file.

    Raises:
        PromptError: It nests too deep.
        jinja2.TemplateSyntaxError: It is none.
        RecursionError: It nests far too deep.
    """
    open_ = 0
    for number, kind, value in jinja.lex(text):
        if kind == "operator":
            open_ += (value in "([{") - (value in ")]}")
        if open_ > PARENTHESES_LIMIT:
            problem = f"more than {PARENTHESES_LIMIT} parentheses are open"
            raise PromptError(f"line {number + line - 1}: {problem}")
    return jinja.parse(text)


def check(node: nodes.Node, *, line: int = 1, in_loop: bool = False, depth: int = 0) -> None:
    """Refuse what a prompt has no need of, before it is compiled.

    Args:
        node: A parsed template.
        line: Where the template begins in its file.
        in_loop: Whether the node is inside a ``for``.
        depth: How many nodes it is inside of.

    Raises:
        PromptError: Names line, construct and what there is instead.
    """
    refused = _refused(node, in_loop=in_loop)
    first = (node.lineno or 1) + line - 1  # Jinja's own additions have no line
    if depth + (len(node.elif_) if isinstance(node, nodes.If) else 0) > DEPTH_LIMIT:
        raise PromptError(f"line {first}: it is nested more than {DEPTH_LIMIT} deep")
    if refused:
        raise PromptError(
            f"line {first}: {refused} is not allowed in a prompt; there are"
            " variables, if, for over a list, loop.index, 'is defined' and the filters"
            f" {', '.join(sorted(_KNOWN_FILTERS))}"
        )
    for child in node.iter_child_nodes():
        inside = in_loop or isinstance(node, nodes.For)
        check(child, line=line, in_loop=inside, depth=depth + 1)


def _refused(node: nodes.Node, *, in_loop: bool) -> str | None:
    """Return what is wrong with this one node."""
    match node:
        case nodes.For() if in_loop or node.recursive:
            return "a loop inside a loop"
        case nodes.For() if not isinstance(node.iter, nodes.Name):
            return "a loop over anything but a variable"
        case nodes.Getattr(node=nodes.Name(name="loop")) if in_loop and node.attr in _LOOP:
            return None
        case nodes.Getattr():
            return f"the attribute '.{node.attr}'"
        case nodes.Name() if node.name == "self" or node.name.startswith("_"):
            return f"the name '{node.name}'"
        case nodes.Filter() if node.name not in _KNOWN_FILTERS:
            return f"the filter '{node.name}'"
        case nodes.Test() if node.name not in _TESTS:
            return f"the test '{node.name}'"
        case nodes.Filter() | nodes.Test():
            given = [*node.args, *(keyword.value for keyword in node.kwargs)]
            is_written_out = all(isinstance(value, nodes.Const) for value in given)
            if node.dyn_args or node.dyn_kwargs or not is_written_out:
                return f"an argument of '{node.name}' that is not written out"
            return None
        case _ if isinstance(node, _NODES):
            return None
    return f"'{type(node).__name__.lower()}'"
