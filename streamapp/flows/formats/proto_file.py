"""A Protobuf file as a registry keeps it: which messages stand where in it.

Of the language only what names a message is read: `message`, `group`, map fields and `package`.
Source: Protocol Buffers, "Language Specification"; the places are those of Confluent's wire format.
"""

import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: Comments and texts, in which nothing counts, up to the file's end where they have none of their
#: own: else each begin of one would look for it again. Words; every other character.
_PART = re.compile(
    r"//[^\n]*|/\*(?:.*?\*/|.*)|\"(?:\\.|[^\"\\])*+\"?|'(?:\\.|[^'\\])*+'?|[\w.]+|[^\s\w.]",
    re.DOTALL,
)


#: Deepest nesting of braces in which messages are looked for: a frame names none below.
_DEPTH_LIMIT = 64


@dataclass(slots=True)
class _Scope:
    """A file, or a message of it, with the messages in it; ``is_entry`` for what a map makes."""

    name: str = ""
    messages: "list[_Scope]" = field(default_factory=list)
    is_entry: bool = False


class ProtoFile:
    """The messages of a file by their places, outermost first.

    Args:
        text: The file, or its descriptor in base64.
    """

    def __init__(self, text: str) -> None:
        self._package, self._root = _described(text) or _scanned(text)

    def names_at(self, path: tuple[int, ...]) -> set[str]:
        """Return the full name of the message there; two where clients count maps, or do not."""
        found = {self._name_at(path, is_counted) for is_counted in (True, False)}
        return {name for name in found if name}

    def has_map_in(self, path: tuple[int, ...]) -> bool:
        """Whether the message there has a map, which makes clients order and count as they like."""
        scope = self._scope_at(path, is_counted=True)
        return scope is not None and any(one.is_entry for one in scope.messages)

    def path_of(self, name: str, *, usual: tuple[int, ...] = ()) -> tuple[int, ...] | None:
        """Return the place of the message with that full name; None where it has none.

        Args:
            name: With its package.
            usual: Where the class of that name has it, which stands where it may be meant.
        """
        if usual and name in self.names_at(usual):
            return usual
        paths = _paths(self._root, self._package)
        return next((path for path, known in paths if known == name), None)

    def _name_at(self, path: tuple[int, ...], is_counted: bool) -> str:
        names = [self._package]
        for length in range(1, len(path) + 1):
            if (scope := self._scope_at(path[:length], is_counted=is_counted)) is None:
                return ""
            names.append(scope.name)
        return ".".join(filter(None, names))

    def _scope_at(self, path: tuple[int, ...], *, is_counted: bool) -> _Scope | None:
        scope = self._root
        for index in path:
            messages = [one for one in scope.messages if is_counted or not one.is_entry]
            if not 0 <= index < len(messages):
                return None
            scope = messages[index]
        return scope


def _paths(
    scope: _Scope, name: str, above: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the place and the full name of each message within one of that name."""
    for index, message in enumerate(scope.messages):
        path, full = (*above, index), f"{name}.{message.name}".removeprefix(".")
        yield path, full
        yield from _paths(message, full, path)


def _described(text: str) -> tuple[str, _Scope] | None:
    """Return what a descriptor says; None for what is none."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    try:
        found = FileDescriptorProto.FromString(b64decode(text, validate=True))
    except Exception:  # of whatever kind the bytes cause: it is the file's text
        return None

    def scope(message: Any) -> _Scope:
        nested = [scope(one) for one in message.nested_type]
        return _Scope(message.name, nested, message.options.map_entry)

    return found.package, _Scope(messages=[scope(one) for one in found.message_type])


def _scanned(text: str) -> tuple[str, _Scope]:
    package, root = "", _Scope()
    #: The scope round each brace that is open: what is no message has that of its message.
    scopes, words = [root], list[str]()
    for part in _PART.findall(text):
        if part == "{":
            is_deep = len(scopes) > _DEPTH_LIMIT
            scopes.append(scopes[-1] if is_deep else _opened(words, scopes[-1]))
        elif part == "}":
            if len(scopes) > 1:
                scopes.pop()
        elif part == ";":
            if words[:1] == ["package"] and len(scopes) == 1:
                package = "".join(words[1:])
            elif words[:2] == ["map", "<"]:
                scopes[-1].messages.append(_Scope(is_entry=True))
            elif words == ["option", "map_entry", "=", "true"]:  # of what a descriptor was told as
                scopes[-1].is_entry = True
        elif part[0] not in "\"'" and not part.startswith(("//", "/*")):
            words.append(part)
            continue
        else:
            continue
        words.clear()
    return package, root


def _opened(words: list[str], within: _Scope) -> _Scope:
    """Return the scope of what stands in a brace behind ``words``, which may begin a message."""
    # What is behind either word is a name in a message's head, and none in a field or an option.
    if (found := re.search(r"(?:^| )(?:message (\w+)|group (\w+) = .*)$", " ".join(words))) is None:
        return within
    message = _Scope(found[1] or found[2])
    within.messages.append(message)
    return message
