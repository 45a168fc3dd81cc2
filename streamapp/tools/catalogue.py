"""The catalogue of tools: those of the user's modules and of MCP servers, by name."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Protocol

from streamapp.errors import ConfigurationError, PromptError
from streamapp.telemetry.frames import told_by_place
from streamapp.tools.offered import OfferedTool, wire_name
from streamapp.tools.tool import Tool

_SETTING = "STREAMAPP_TOOLS"


class ToolSource(Protocol):
    """A place whose tools are known only once it is reached, and may change: an MCP server."""

    @property
    def name(self) -> str:
        """The first part of its tools' names."""
        ...

    @property
    def is_away(self) -> bool:
        """Whether it cannot be reached now."""
        ...

    @property
    def known(self) -> Sequence[OfferedTool]:
        """What it offered last, without asking it."""
        ...

    @property
    def is_awaited(self) -> bool:
        """Whether it was never reached, and its time to be is not over."""
        ...

    async def tools(self) -> Sequence[OfferedTool]:
        """Return what it offers, or offered last, once it is not awaited any more."""
        ...


class ToolCatalogue:
    """All tools that prompts may name.

    Args:
        tools: Typed coroutines.
        sources: Further tools, by the first part of their names.

    Raises:
        ConfigurationError: Two tools have one name, or a tool's name is a source's.
    """

    def __init__(
        self, tools: Iterable[OfferedTool] = (), sources: Iterable[ToolSource] = ()
    ) -> None:
        self._tools: dict[str, OfferedTool] = {}
        self._sources: Mapping[str, ToolSource] = {source.name: source for source in sources}
        by_wire_name: dict[str, str] = {}
        for tool in tools:
            known = by_wire_name.setdefault(wire_name(tool.name), tool.name)
            if tool.name in self._tools or known != tool.name:
                raise ConfigurationError(
                    f"two tools are named '{known}': give one another name, @tool(name=...)"
                )
            server = wire_name(tool.name).partition("__")[0]
            if server in self._sources and "__" in wire_name(tool.name):
                raise ConfigurationError(
                    f"tool '{tool.name}' has the name of the MCP server '{server}': rename one"
                )
            self._tools[tool.name] = tool

    @property
    def typed(self) -> Sequence[OfferedTool]:
        """The typed coroutines, by name."""
        return [self._tools[name] for name in sorted(self._tools)]

    @property
    def sources(self) -> Sequence[ToolSource]:
        """Further places of tools."""
        return list(self._sources.values())

    def unknown(self, patterns: Iterable[str]) -> list[str]:
        """Return the patterns that cannot mean any tool, whatever servers offer."""
        return [
            pattern
            for pattern in patterns
            if pattern.partition(".")[0] not in self._sources
            and not (pattern == "*" and self._sources)
            and not any(matches(pattern, name) for name in self._tools)
        ]

    def used(self, patterns: Iterable[str]) -> set[str]:
        """Return the names of the typed tools that the patterns mean."""
        wanted = list(patterns)
        return {name for name in self._tools if any(matches(one, name) for one in wanted)}

    def awaited(self, tools: Iterable[str | OfferedTool]) -> list[ToolSource]:
        """Return the sources whose tools are among those meant, and that are awaited."""
        patterns = [one for one in tools if isinstance(one, str)]
        return [
            source
            for source in self._sources.values()
            if source.is_awaited and any(_may_mean(one, source) for one in patterns)
        ]

    def chosen(self, tools: Sequence[str | OfferedTool]) -> list[OfferedTool]:
        """Return the tools that names, patterns and tools mean, each once, in one order for all.

        Those of a source are what is known of it: nobody is asked, or waited for.

        Raises:
            PromptError: A name or pattern cannot mean any tool.
        """
        names = [one for one in tools if isinstance(one, str)]
        if missing := self.unknown(names):
            known = ", ".join([*self._tools, *(f"{name}.*" for name in self._sources)]) or "none"
            raise PromptError(f"there is no tool '{missing[0]}'; there are: {known}")
        found = {one.name: one for one in tools if not isinstance(one, str)}
        for pattern in names:
            found |= {name: tool for name, tool in self._tools.items() if matches(pattern, name)}
            for source in self._sources.values():
                if _may_mean(pattern, source):
                    found |= {one.name: one for one in source.known if matches(pattern, one.name)}
        return [found[name] for name in sorted(found)]

    def missing(
        self, tools: Iterable[str | OfferedTool], offered: Iterable[OfferedTool]
    ) -> list[str]:
        """Return the names and patterns that no server has a tool for now, by name.

        Args:
            tools: What was asked for.
            offered: What `chosen` made of it.
        """
        patterns = {one for one in tools if isinstance(one, str)}
        names = [one.name for one in offered]
        missing = {one for one in patterns if not any(matches(one, name) for name in names)} - {"*"}
        if "*" in patterns:
            unheard = (one for one in self.sources if one.is_away and not one.known)
            missing |= {f"{source.name}.*" for source in unheard}
        return sorted(missing)


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern means the tool: its name, ``shop.*`` or ``*``."""
    return pattern in (name, "*") or (pattern.endswith(".*") and name.startswith(pattern[:-1]))


def _may_mean(pattern: str, source: ToolSource) -> bool:
    return pattern == "*" or pattern.partition(".")[0] == source.name


def load_tools(modules: Iterable[str]) -> list[Tool]:
    """Return the tools in modules.

    Args:
        modules: Dotted names; a module's tools are its attributes.

    Raises:
        ConfigurationError: A module is missing, cannot be imported or has no tool; a line for
            each.
    """
    found: dict[int, Tool] = {}
    problems = []
    for name in modules:
        try:
            module = import_module(name)
        except ConfigurationError as error:
            problems.append(str(error))
            continue
        except (Exception, SystemExit) as error:  # of a script that is no module
            folder = isinstance(error, ModuleNotFoundError) and "; is its folder on PYTHONPATH?"
            problems.append(f"{_SETTING}: module '{name}': {told_by_place(error)}{folder or ''}")
            continue
        own = [value for value in vars(module).values() if isinstance(value, Tool)]
        if not own:
            problems.append(f"{_SETTING}: module '{name}' has no @tool")
        found |= {id(tool): tool for tool in own}
    if problems:
        raise ConfigurationError("\n".join(problems))
    return list(found.values())
