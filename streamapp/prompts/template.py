"""The text of a prompt: parts with fixed roles, each a sandboxed template of its own.

The parts are split before anything is rendered and what is rendered is never rendered again:
data can fill the slots of a part, and can neither begin a part nor become a template.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from typing_extensions import TypeIs

from streamapp.errors import PromptError
from streamapp.prompts.cpu_limit import count_loops, cpu_limit
from streamapp.prompts.sandbox import RENDERED_LIMIT, check, environment, parse
from streamapp.prompts.template_syntax import syntax_mend
from streamapp.records.problems import escape

Scalar = str | int | float | bool
Variable = Scalar | Sequence[Scalar]

#: Longest body, characters.
BODY_LIMIT = 100_000
#: Most items of a list that a loop runs over.
LOOP_LIMIT = 1_000

ROLES = ("system", "user", "assistant")
_MARKER = re.compile(r"<!--\s*([A-Za-z]+)\s*-->\s*")
_UNDEFINED = re.compile(r"'(\w+)' is undefined")
_SCALARS = (str, int, float, bool)


class Template:
    """A compiled body.

    A line ``<!-- system -->``, ``<!-- user -->`` or ``<!-- assistant -->`` begins a part; a
    body without such a line is one user message.

    Attributes:
        variables: The names that the body mentions, and the first line of each.
        asked: Those of them that stand in the last part, the question.
        needed: Those of these that it neither asks for nor has a default for.
        optional: The names that it asks for, or has a default for.
        sure: The names that it looks at whatever it is given: in no branch, and in no loop.

    Raises:
        PromptError: The body is wrong; the message begins with ``line N:``.
    """

    __slots__ = ("_looped", "_parts", "asked", "needed", "optional", "sure", "variables")

    def __init__(self, body: str, *, first_line: int = 1) -> None:
        if len(body) > BODY_LIMIT:
            raise PromptError(f"line {first_line}: the body is longer than {BODY_LIMIT} characters")
        self.variables: dict[str, int] = {}
        self.asked: frozenset[str] = frozenset()
        self.needed: frozenset[str] = frozenset()
        self.optional: set[str] = set()
        self.sure: set[str] = set()
        self._looped: set[str] = set()
        jinja = environment()
        self._parts = [
            (role, self._compiled(jinja, text, line))
            for role, text, line in _split(body, first_line)
        ]
        if self._parts[-1][0] != "user":
            raise PromptError(f"line {first_line}: the last part must be '<!-- user -->'")

    def render(
        self,
        variables: Mapping[str, Variable],
        *,
        examples: Sequence[tuple[Mapping[str, Variable], str]] = (),
        given: Collection[str] = (),
    ) -> list[dict[str, str]]:
        """Return OpenAI-shaped messages.

        Args:
            variables: Text, numbers and lists of them; those not mentioned are ignored.
            examples: Variables and the answer to them. Each is a pair of messages of the user
                and the assistant before the last part, whose text they share; one that the
                text cannot take is left out.
            given: Variables that examples have of themselves alone; others of ``variables``
                that the last part needs stand in where an example has none.

        Raises:
            PromptError: A variable is missing or of another kind, the result is too long, or it
                takes too long.
        """
        with cpu_limit():
            return self._render(variables, examples, given)

    def _render(
        self,
        variables: Mapping[str, Variable],
        examples: Sequence[tuple[Mapping[str, Variable], str]],
        given: Collection[str],
    ) -> list[dict[str, str]]:
        self._check(variables)
        *first, last = self._parts
        shared = {n: variables[n] for n in self.needed if n in variables and n not in given}
        messages = self._rendered(first, variables, size=0)
        for own, answer in examples:
            size = sum(len(message["content"]) for message in messages)
            try:
                self._check(own)
                pair = self._rendered([last], {**shared, **own}, size=size + len(answer))
            except PromptError:
                continue
            messages += [*pair, {"role": "assistant", "content": answer}]
        size = sum(len(message["content"]) for message in messages)
        return [*messages, *self._rendered([last], variables, size=size)]

    def _rendered(
        self,
        parts: Iterable[tuple[str, jinja2.Template]],
        variables: Mapping[str, Variable],
        *,
        size: int,
    ) -> list[dict[str, str]]:
        """Return the messages of some parts; ``size`` characters are rendered already."""
        messages = []
        for role, template in parts:
            chunks = []
            for chunk in self._chunks(template, variables):
                size += len(chunk)
                if size > RENDERED_LIMIT:
                    raise PromptError(f"it renders to more than {RENDERED_LIMIT} characters")
                chunks.append(chunk)
            messages.append({"role": role, "content": "".join(chunks)})
        return messages

    def unfit(self, variables: Mapping[str, Variable], *, is_tried: bool = True) -> str | None:
        """Return why the last part cannot take these variables; None where it can.

        Args:
            variables: Others may be added that it needs.
            is_tried: Whether it is rendered, where there is all that it needs.
        """
        try:
            self._check(variables)
            if is_tried and self.needed <= variables.keys():
                with cpu_limit():
                    self._rendered(self._parts[-1:], variables, size=0)
        except PromptError as error:
            return str(error)
        return None

    def _check(self, variables: Mapping[str, Variable]) -> None:
        for name, value in variables.items():
            if not _is_plain(value):
                problem = "must be text, a number or a list of those"
            elif name in self._looped and not (_is_list(value) and len(value) <= LOOP_LIMIT):
                problem = f"must be a list of at most {LOOP_LIMIT} items"
            else:
                continue
            raise PromptError(f"the variable '{escape(name)}' {problem}")

    def _chunks(
        self, template: jinja2.Template, variables: Mapping[str, Variable]
    ) -> Iterator[str]:
        try:
            yield from template.generate(variables)
        except jinja2.UndefinedError as error:
            missing = _UNDEFINED.fullmatch(error.message or "")
            problem = "the first or last of an empty list"
            if missing:
                name = missing[1]
                problem = (
                    f"line {self.variables.get(name, 1)}: the variable '{name}' is missing: give it"
                )
        except AssertionError:
            problem = "a filter cannot do that: 'truncate' needs a length of at least 3"
        except (TypeError, ValueError) as error:
            problem = f"a variable is of the wrong kind ({type(error).__name__})"
        else:
            return
        raise PromptError(problem)  # outside of the block: Jinja's error may hold data

    def _compiled(
        self, jinja: ImmutableSandboxedEnvironment, text: str, line: int
    ) -> jinja2.Template:
        try:
            tree = parse(jinja, text, line=line)
            check(tree, line=line)
            names = meta.find_undeclared_variables(tree)
            for node in tree.find_all(nodes.Name):
                if node.name in names:
                    self.variables.setdefault(node.name, node.lineno + line - 1)
            optional = set(_optional(tree))
            self.optional.update(optional)
            self.sure.update(names.intersection(_sure(tree)))
            # The last part is the last to be compiled.
            self.asked, self.needed = frozenset(names), frozenset(names - optional)
            over = (loop.iter for loop in tree.find_all(nodes.For))
            self._looped.update(node.name for node in over if isinstance(node, nodes.Name))
            count_loops(tree)
            return jinja.from_string(tree)
        except jinja2.TemplateSyntaxError as error:
            problem = syntax_mend(error.message)
            raise PromptError(f"line {error.lineno + line - 1}: {problem}") from None
        except (ValueError, RecursionError, SyntaxError, MemoryError) as error:
            raise PromptError(f"line {line}: cannot be compiled: {error}") from None


def _optional(tree: nodes.Template) -> Iterator[str]:
    """Yield the names that are asked for, as in ``x is defined``, or have a default."""
    for node in tree.find_all((nodes.Test, nodes.Filter)):
        is_asked = isinstance(node, nodes.Test) or node.name == "default"
        if is_asked and isinstance(node.node, nodes.Name):
            yield node.node.name


def _sure(node: nodes.Node) -> Iterator[str]:
    """Yield the names that are looked at whichever way is taken through ``node``."""
    if isinstance(node, nodes.Name):
        yield node.name
    elif isinstance(node, nodes.If):
        yield from _sure(node.test)
        branches = [node.body, *(one.body for one in node.elif_), node.else_]
        yield from set.intersection(
            *({name for one in branch for name in _sure(one)} for branch in branches)
        )
    elif isinstance(node, nodes.CondExpr):
        yield from _sure(node.test)
    elif isinstance(node, nodes.For):
        yield from _sure(node.iter)
    elif isinstance(node, nodes.And | nodes.Or):
        yield from _sure(node.left)
    else:
        for child in node.iter_child_nodes():
            yield from _sure(child)


def _split(body: str, first_line: int) -> Iterator[tuple[str, str, int]]:
    """Yield role, text and the text's first line of each part."""
    parts: list[tuple[str, list[str], int]] = [("user", [], first_line)]
    for number, line in enumerate(body.split("\n"), first_line):
        if marker := _MARKER.fullmatch(line):
            role = marker[1].lower()
            if role not in ROLES:
                known = ", ".join(f"<!-- {role} -->" for role in ROLES)
                raise PromptError(f"line {number}: there is no such part; write one of {known}")
            parts.append((role, [], number + 1))
        else:
            parts[-1][1].append(line)
    before = "".join(parts[0][1]).strip()
    if len(parts) > 1:
        if before:
            raise PromptError(f"line {first_line}: text before the first part; move it into one")
        parts = parts[1:]
    for role, lines, start in parts:
        blank = next((n for n, line in enumerate(lines) if line.strip()), None)
        if blank is None:
            raise PromptError(f"line {start}: the {role} part is empty; write its text")
        yield role, "\n".join(lines[blank:]).rstrip(), start + blank


def _is_plain(value: object) -> bool:
    return isinstance(value, _SCALARS) or (
        _is_list(value) and all(isinstance(item, _SCALARS) for item in value)
    )


def _is_list(value: object) -> TypeIs[list[Any] | tuple[Any, ...]]:
    return isinstance(value, list | tuple)
