"""The interfaces of what a record's client is given: its prompt, and what runs tools."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from streamapp.llm.client import LLMClient

Embed = Callable[[Sequence[str]], Awaitable[list[list[float]]]]


class RenderedPrompt(Protocol):
    """The version of a prompt that the record uses."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Sampling parameters by OpenAI's names."""
        ...

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """JSON Schema of the answer, or None for text."""
        ...

    @property
    def agent(self) -> "AgentSettings":
        """The tools that its model may call, and the bounds of that."""
        ...

    async def messages(self, variables: Mapping[str, Any], *, embed: Embed) -> list[dict[str, Any]]:
        """Return OpenAI-shaped messages.

        Args:
            variables: What the placeholders stand for.
            embed: Returns one vector a text, where the messages depend on what is like them.

        Raises:
            PromptError: A variable is missing.
        """
        ...


class AgentSettings(Protocol):
    """The tools of a prompt, and the bounds of their use."""

    @property
    def tools(self) -> Sequence[str]:
        """Names and patterns of tools; empty for none."""
        ...

    @property
    def max_steps(self) -> int | None:
        """Most calls of the model for one answer; None for the default."""
        ...

    @property
    def max_tool_calls(self) -> int | None:
        """Most calls of tools for one answer; None for the default."""
        ...


class ToolRunner(Protocol):
    """Runs a model with tools until it answers; see ``tools/loop.py``."""

    async def answer(
        self,
        llm: "LLMClient",
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Any],
        max_steps: int | None,
        max_tool_calls: int | None,
        parameters: Mapping[str, Any],
        schema: Mapping[str, Any] | None,
    ) -> Any:
        """Return the answer; raises ``StepLimit`` past the bounds."""
        ...
