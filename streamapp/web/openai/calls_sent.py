"""The tool calls of a streamed answer, as far as they were sent."""

from collections.abc import Mapping, Sequence
from typing import Any

from streamapp.llm.chunks import CallDelta


class CallsSent:
    """Takes note of pieces, and tells which are left of the whole calls."""

    def __init__(self) -> None:
        self._chars: dict[int, int] = {}

    def note(self, delta: CallDelta) -> None:
        """Take note of a piece that is sent."""
        self._chars[delta.index] = self._chars.get(delta.index, 0) + len(delta.arguments)

    def rest(self, calls: Sequence[Mapping[str, Any]]) -> list[CallDelta]:
        """Return what was not sent.

        Args:
            calls: All of the answer, by OpenAI's shape.
        """
        left: list[CallDelta] = []
        for index, call in enumerate(calls):
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            sent = self._chars.get(index)
            if sent is None:
                left.append(CallDelta(index, call["id"], name, arguments))
            elif arguments[sent:]:
                left.append(CallDelta(index, arguments=arguments[sent:]))
        return left
