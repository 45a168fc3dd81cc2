"""The tools' loop of a dry run: counts the calls that may follow what tools give."""

from collections.abc import Mapping, Sequence
from typing import Any

from streamapp.llm.client import LLMClient
from streamapp.tools.loop import MAX_STEPS, ToolLoop


class CountedTurns(ToolLoop):
    """Counts, of each answer with tools, the most calls of the model behind its first.

    Attributes:
        more: Those of all answers since someone set it to 0.
    """

    more = 0

    async def answer(
        self,
        llm: LLMClient,
        messages: Sequence[Mapping[str, Any]],
        *,
        max_steps: int | None = None,
        **options: Any,
    ) -> Any:
        """Return what the loop does."""
        self.more += (max_steps or MAX_STEPS) - 1
        return await super().answer(llm, messages, max_steps=max_steps, **options)
