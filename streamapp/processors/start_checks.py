"""The checks at start: what prompts, routes and tools lack for records to be answered."""

from collections.abc import Iterator, Sequence

from streamapp.errors import InvalidRecord
from streamapp.llm.schemas.schema import Schemas
from streamapp.processors.registry import Processor, Registry
from streamapp.prompts.registry import PromptRegistry
from streamapp.tools.catalogue import ToolCatalogue

_TOOLS = "STREAMAPP_TOOLS"


class StartChecks:
    """Looks at prompts by what is configured.

    Args:
        registry: The processors.
        models: The routes that prompts may name.
        tools: The tools that they may name; None where those cannot be loaded.
    """

    def __init__(
        self, registry: Registry, models: Sequence[str], tools: ToolCatalogue | None
    ) -> None:
        self._registry = registry
        self._models = models
        self._tools = tools

    def problems(self, prompts: PromptRegistry, *, are_whole: bool = True) -> list[str]:
        """Return what would fail records: missing prompts, variables and routes, wrong schemas.

        Args:
            prompts: Those to look at.
            are_whole: Whether they are all: one that cannot be read is not missing.
        """
        found: list[str] = []
        schemas = Schemas()
        for processor in self._registry.processors:
            type, name = processor.type, processor.prompt
            if name in prompts.names:
                found += self._unfilled(prompts, processor)
            elif name and are_whole:
                found.append(
                    f"record type '{type}' needs the prompt '{name}': add {name}.md to the prompts"
                )
        for name in prompts.names:
            prompt = prompts.resolve(name, sticky=b"")
            for tool in self._tools.unknown(prompt.agent.tools) if self._tools else ():
                place = prompts.place(name, "tools")
                found.append(f"{place}: there is no tool '{tool}': {_asked_of(tool)}")
            if prompt.model and prompt.model not in self._models:
                known = ", ".join(self._models)
                place = prompts.place(name, "model")
                found.append(f"{place}: there is no model '{prompt.model}': use one of {known}")
            try:
                schemas.check(prompt.output_schema or {})
            except InvalidRecord as error:
                found.append(f"{prompts.place(name, 'output_schema')}, output_schema: {error}")
        return found

    def _unfilled(self, prompts: PromptRegistry, processor: Processor) -> Iterator[str]:
        """Yield what the prompt of a record type needs and its records do not give."""
        given, name = processor.variables, processor.prompt or ""
        if given is None:
            return
        template = prompts.resolve(name, sticky=b"").template
        for variable, line in template.variables.items():
            if variable not in given | template.optional:
                place = f"{prompts.place(name)}, line {line}"
                known = ", ".join(sorted(given))
                yield f"{place}: '{processor.type}' has no variable '{variable}': use {known}"


def _asked_of(tool: str) -> str:
    """Return where a tool that is not there may be missing."""
    server, dot, _ = tool.partition(".")
    table = f"is there a table [mcp.{server}], with it in `allow`? Or " if dot else ""
    return f"{table}is its module in {_TOOLS}?"
