"""The tool calls of an answer by OpenAI's shape, whole or put together from a stream."""

from collections.abc import Mapping
from typing import Any

import orjson

from streamapp.llm.chunks import CallDelta
from streamapp.records.tools import EXTRA_CONTENT

ToolCall = dict[str, Any]


def tool_calls_of(message: Mapping[str, Any]) -> list[ToolCall]:
    """Return the calls of a whole message, each with an id and with its arguments as text.

    Raises:
        LookupError, TypeError: They are none.
    """
    if not (message.get("tool_calls") or message.get("function_call")):
        return []  # as most have it
    calls = ToolCalls()
    calls.add(message)
    return calls.all()


class ToolCalls:
    """Puts calls together; parts of one have its index, its id, or follow on it.

    Servers that send calls whole give each of them index 0, or none: what names a function where
    a whole call stands already is another one.
    """

    def __init__(self) -> None:
        self._calls: dict[int, ToolCall] = {}
        #: The ids that were told, with the index of their call.
        self._told: dict[str, int] = {}
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
        for call in calls:
            place, extra = self._place(call), call.get(EXTRA_CONTENT)
            self._add(place, call.get("id"), call.get("function") or {}, extra)
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

    def _place(self, call: Mapping[str, Any]) -> int:
        """Return where a call, or a part of one, belongs."""
        index, id, function = call.get("index"), call.get("id"), call.get("function") or {}
        if not isinstance(index, int):
            index = self._following(id, begins=bool(function.get("name")))
        known = self._calls.get(index)
        if known is None:
            return index
        is_other = id and known["id"] != id and self._told.get(known["id"]) == index
        if is_other and id in self._told:
            return self._told[id]
        if is_other or _is_another(known["function"], function):
            return max(self._calls) + 1
        return index

    def _following(self, id: Any, *, begins: bool) -> int:
        """Return where a part without an index belongs: to its id's call, a new one or the last."""
        if id in self._told:
            return self._told[id]
        if not self._calls:
            return 0
        last = max(self._calls)
        is_new = id or (begins and self._calls[last]["function"]["name"])
        return last + 1 if is_new else last

    def _add(self, index: int, id: Any, function: Mapping[str, Any], extra: Any = None) -> None:
        call = self._calls.setdefault(
            index,
            {
                "id": f"call_{index}",
                "type": "function",
                "function": {"name": "", "arguments": ""},
            },
        )
        place = self._places.get(index)
        if isinstance(id, str) and id and place is None and id not in self._told:
            call["id"], self._told[id] = id, index  # one that was told stays
        whole = call["function"]
        whole["name"] = whole["name"] or function.get("name") or ""
        arguments = _arguments(function)
        whole["arguments"] += arguments
        is_told = EXTRA_CONTENT in call or not isinstance(extra, dict) or not extra
        if not is_told:
            call[EXTRA_CONTENT] = extra
        if place is not None:
            delta = CallDelta(place, arguments=arguments, extra=None if is_told else extra)
            self._new += [delta] if arguments or delta.extra else []
        elif whole["name"]:
            place = self._places[index] = len(self._places)
            more = call.get(EXTRA_CONTENT)
            self._new.append(CallDelta(place, call["id"], whole["name"], whole["arguments"], more))


def _arguments(function: Mapping[str, Any]) -> str:
    arguments = function.get("arguments")
    if arguments is None:
        return ""
    if isinstance(arguments, str):
        return arguments
    return orjson.dumps(arguments).decode()  # an object, of servers that parse it


def _is_another(known: Mapping[str, str], function: Mapping[str, Any]) -> bool:
    """Whether a part with a name and whole arguments comes where a whole call stands."""
    named = bool(known["name"] and function.get("name"))
    return named and _is_whole(known["arguments"]) and _is_whole(_arguments(function))


def _is_whole(arguments: str) -> bool:
    if not arguments.rstrip().endswith("}"):
        return False
    try:
        return isinstance(orjson.loads(arguments), dict)
    except orjson.JSONDecodeError:
        return False
