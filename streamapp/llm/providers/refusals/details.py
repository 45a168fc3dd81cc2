"""The codes and the words of an error's body, also those that a proxy quotes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from streamapp.llm.providers.refusals.own_words import OwnWords

_DEPTH = 6
_TEXT_CHARS = 4_000
_TEXTS = 24
_BODY_BYTES = 256 * 1024
#: Fields that hold a code.
_CODES = ("code", "type", "status", "reason", "error_type", "error_code", "limit_source")
#: Fields that hold words, or another error with such fields.
_WORDS = ("message", "msg", "error", "detail", "details", "errors", "raw", "description")
_NESTED = ("innererror", "metadata", "provider_specific_fields", "cause", "upstream_error")


@dataclass(slots=True)
class Details:
    """What was found, outermost first.

    Attributes:
        codes: In lower case; numbers as text.
        quoted_codes: Those within texts: a proxy quotes its vendor's, or anybody the request's.
        texts: Messages as they are, each cut.
        fields: Names of what the error is about: ``param``, or where a validator found it; each
            with the codes beside it.
        retry_delay: Google's ``retryDelay``, such as ``34s``.
        own: The words of the request.
    """

    codes: list[str] = field(default_factory=list)
    quoted_codes: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    fields: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    retry_delay: str = ""
    own: OwnWords = field(default_factory=OwnWords)

    @property
    def text(self) -> str:
        """All messages in lower case."""
        return "\n".join(self.texts).lower()

    def has_code(self, code: str) -> bool:
        """Whether it has ``code``, in its own fields or quoted."""
        return code in self.codes or code in self.quoted_codes

    def is_own_code(self, code: str) -> bool:
        """Whether ``code`` is quoted alone, and the request says it too."""
        return code not in self.codes and self.own.hold(code)

    @property
    def known_codes(self) -> Iterator[str]:
        """The codes that are not the request's own words, outermost first."""
        yield from self.codes
        yield from (code for code in self.quoted_codes if not self.own.hold(code))

    @property
    def status(self) -> int | None:
        """The HTTP status among the codes, or None."""
        for code in self.known_codes:
            if len(code) == 3 and code[0] in "45" and code.isdigit():
                return int(code)
        return None


def details_of(body: bytes | Any, own: OwnWords | None = None) -> Details:
    """Read a body, JSON or not; what is no error has no details.

    What a validator quotes of the request (``input``) is left out: it is the caller's text.

    Args:
        body: Bytes, or parsed JSON.
        own: The words of the request.
    """
    found = Details(own=own or OwnWords())
    if isinstance(body, bytes):
        body = _parsed(body[:_BODY_BYTES])
    if body == {"detail": "Not Found"}:
        found.codes.append("no such path")
    _read(body, found, _DEPTH)
    return found


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode("utf-8", "replace").strip()
        # A page of a proxy or a load balancer says nothing about the call.
        return "" if text.startswith("<") else text


def _read(value: Any, found: Details, depth: int) -> None:
    if depth == 0 or len(found.texts) >= _TEXTS:
        return
    if isinstance(value, str):
        if value:
            found.texts.append(value[:_TEXT_CHARS])
            _read_quoted(value, found, depth)
    elif isinstance(value, list):
        for item in value[:_TEXTS]:
            _read(item, found, depth - 1)
    elif isinstance(value, Mapping):
        _read_object(value, found, depth)


def _read_object(value: Mapping[str, Any], found: Details, depth: int) -> None:
    codes = [str(code).lower()[:200] for code in map(value.get, _CODES) if _is_code(code)]
    found.codes += codes
    if isinstance(param := value.get("param"), str) and param:
        found.fields.append((param, frozenset(codes)))
    if isinstance(place := value.get("loc"), list):
        name = ".".join(str(part) for part in place if part != "body")
        found.fields.append((name, frozenset(codes)))
    if isinstance(delay := value.get("retryDelay"), str):
        found.retry_delay = found.retry_delay or delay
    for name in (*_WORDS, *_NESTED):
        if name in value:
            _read(value[name], found, depth - 1)


def _is_code(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _read_quoted(text: str, found: Details, depth: int) -> None:
    """Read the error that a proxy quotes in its own, as JSON within the text."""
    for quoted in _quoted(text):
        inner = Details(own=found.own)
        _read(quoted, inner, depth - 1)
        found.quoted_codes += [*inner.codes, *inner.quoted_codes]
        found.texts += inner.texts[: _TEXTS - len(found.texts)]
        known = {code for code in inner.known_codes if not found.own.hold(code)}
        found.fields += [(name, codes & known) for name, codes in inner.fields]
        if not found.own.hold(inner.retry_delay):
            found.retry_delay = found.retry_delay or inner.retry_delay
        return


def _quoted(text: str) -> Iterator[Any]:
    start, end = text.find("{"), text.rfind("}")
    if 0 <= start < end:
        for candidate in (text[start : end + 1], text[start : end + 1].replace('\\"', '"')):
            try:
                value = orjson.loads(candidate)
            except orjson.JSONDecodeError:
                continue
            if isinstance(value, dict):
                yield value
