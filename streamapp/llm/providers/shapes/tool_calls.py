"""The tool calls of an answer by OpenAI's shape, whole or put together from a stream."""

from collections.abc import Mapping
from typing import Any

import orjson

from streamapp.llm.chunks import CallDelta

ToolCall = dict[str, Any]


def tool_calls_of(message: Mapping[str, Any]) -> list[ToolCall]:
    """Return the calls of a whole message, each with an id and with its arguments as text.

    Raises:
        LookupError, TypeError: They are none.
    """
    calls = ToolCalls()
    calls.add(message)
    return calls.all()


class ToolCalls:
    """Puts calls together; parts of one have its index, or stand at its place in the list."""

    def __init__(self) -> None:
        self._calls: dict[int, ToolCall] = {}
        #: By index: the place in the answer, once it is known what is called.
        self._places: dict[int, int] = {}
        self._new: list[CallDelta] = []

    def add(self, part: Mapping[str, Any]) -> None:
        """Take the calls of a message or of a ``delta``.

        Raises:
            LookupError, TypeError: They are none.
        """
        calls = part.get("tool_calls") or ()
        if not isinstance(calls, (list, tuple)):
            raise TypeError("no list of calls")
        for place, call in enumerate(calls):
            self._add(self._place(call, place), call.get("id"), call.get("function") or {})
        if function := part.get("function_call"):  # of servers that know the older form alone
            self._add(0, None, function)

    def all(self) -> list[ToolCall]:
        """Return the calls, in order.

        Raises:
            LookupError: One names no function.
        """
        if not all(call["function"]["name"] for call in self._calls.values()):
            raise LookupError("a call without a name")
        return [self._calls[index] for index in self._places]

    def new(self) -> list[CallDelta]:
        """Return what was added since it was last asked for.

        A call begins with its name: what came of it before is in its first piece.
        """
        new, self._new = self._new, []
        return new

    def _place(self, call: Mapping[str, Any], place: int) -> int:
        """Return where a call belongs; some servers send each whole, all of them with index 0."""
        index = call.get("index")
        if not isinstance(index, int):
            return place if call.get("id") is None else len(self._calls)
        known = self._calls.get(index)
        if known and call.get("id") and known["id"] not in (call["id"], f"call_{index}"):
            return max(self._calls) + 1
        return index

    def _add(self, index: int, id: Any, function: Mapping[str, Any]) -> None:
        call = self._calls.setdefault(
            index,
            {
                "id": f"call_{index}",
                "type": "function",
                "function": {"name": "", "arguments": ""},
            },
        )
        place = self._places.get(index)
        if isinstance(id, str) and id and place is None:  # one that was told stays
            call["id"] = id
        whole = call["function"]
        whole["name"] = whole["name"] or "" + (function.get("name") or "")
        arguments = function.get("arguments")
        if arguments is None:
            arguments = ""
        elif not isinstance(arguments, str):  # an object, of servers that parse it
            arguments = orjson.dumps(arguments).decode()
        whole["arguments"] += arguments
        if place is not None:
            self._new += [CallDelta(place, arguments=arguments)] if arguments else []
        elif whole["name"]:
            place = self._places[index] = len(self._places)
            self._new.append(CallDelta(place, call["id"], whole["name"], whole["arguments"]))
