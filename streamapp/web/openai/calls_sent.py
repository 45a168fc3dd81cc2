"""The tool calls of a streamed answer, as far as they were sent."""

from collections.abc import Mapping, Sequence
from typing import Any

from streamapp.llm.chunks import CallDelta
from streamapp.records.tools import EXTRA_CONTENT


class CallsSent:
    """Takes note of deltas, and tells what is left of the whole calls."""

    def __init__(self) -> None:
        self._chars: dict[int, int] = {}
        self._extra: set[int] = set()

    def note(self, delta: CallDelta) -> None:
        """Take note of a delta that is sent."""
        self._chars[delta.index] = self._chars.get(delta.index, 0) + len(delta.arguments)
        if delta.extra:
            self._extra.add(delta.index)

    def rest(self, calls: Sequence[Mapping[str, Any]]) -> list[CallDelta]:
        """Return what was not sent.

        Args:
            calls: All of the answer, by OpenAI's shape.
        """
        left: list[CallDelta] = []
        for index, call in enumerate(calls):
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            sent = self._chars.get(index)
            extra = None if index in self._extra else call.get(EXTRA_CONTENT)
            if sent is None:
                left.append(CallDelta(index, call["id"], name, arguments, extra))
            elif arguments[sent:] or extra:
                left.append(CallDelta(index, arguments=arguments[sent:], extra=extra))
        return left
