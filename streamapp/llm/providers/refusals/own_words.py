"""The text of a request, which an error may quote: it says nothing about the provider."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})")
_NO_WORDS = re.compile(r"[\W_]+")
#: An escaped backslash begins another escape; nobody quotes deeper.
_ESCAPES = 4
#: Values that say how a part is to be read, and are none of its text.
_STRUCTURE = frozenset({"role", "type"})
#: Names of OpenAI's own: an error that says one quotes nobody.
_OPENAIS = frozenset({"response_format", "json_schema"})


class OwnWords:
    """The words of one request.

    They are compared by their letters and digits alone: who quotes may change case, white space,
    quotes and escapes.

    Args:
        asked: Messages, inputs and parameters, or whatever else the request says.
    """

    def __init__(self, asked: Sequence[Any] = ()) -> None:
        self._asked = asked

    def hold(self, words: str) -> bool:
        """Whether the request says ``words`` too: then an error that holds them may quote it."""
        letters = _letters(words)
        return bool(letters) and letters in self._letters

    @cached_property
    def _letters(self) -> str:
        # Without anything between: a vendor quotes several messages as one text.
        return _letters("".join((*_texts(self._asked), *_names(self._asked))))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if name not in _STRUCTURE:
                yield from _texts(item)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        for item in value:
            yield from _texts(item)


def _names(value: Any) -> Iterator[str]:
    """Return the names of what is in ``value``: those of a schema are the caller's words too."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name not in _OPENAIS:
                yield str(name)
            yield from _names(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _names(item)


def _letters(text: str) -> str:
    for _ in range(_ESCAPES):
        plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
        if plain == text:
            break
        text = plain
    return _NO_WORDS.sub("", unicodedata.normalize("NFKC", text).casefold())
