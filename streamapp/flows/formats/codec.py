"""Decoders and encoders of one topic: their protocols, and the formats without a registry."""

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from pydantic_core import PydanticSerializationError, to_json

from streamapp.errors import OutputInvalid, Undecodable
from streamapp.records.codec import parse_value
from streamapp.records.framing import frame_of


class Decoder(Protocol):
    """Reads the values, or the keys, of a topic."""

    def is_loaded(self, value: bytes) -> bool:
        """Whether `decode` may be called at once; else after `load`."""
        ...

    async def load(self, value: bytes) -> None:
        """Have what reads ``value``; waits where that must be asked for."""
        ...

    def decode(self, value: bytes) -> Any:
        """Return what bytes hold.

        Raises:
            Undecodable: They are no value of the format.
        """
        ...


class Encoder(Protocol):
    """Writes the values of a topic."""

    @property
    def is_loaded(self) -> bool:
        """Whether `encode` may be called at once; else after `load`."""
        ...

    async def load(self) -> None:
        """Have what values are written by; waits where that must be asked for."""
        ...

    def encode(self, value: Any) -> bytes:
        """Return a value as bytes.

        Raises:
            OutputInvalid: It cannot be written so.
        """
        ...


@runtime_checkable
class JsonText(Protocol):
    """A decoder of values that are JSON, perhaps in a frame."""

    def json_of(self, value: bytes) -> bytes:
        """Return the JSON as it was written."""
        ...


@runtime_checkable
class JsonWriter(Protocol):
    """An encoder of values that are JSON, perhaps in a frame."""

    def encode_json(self, text: bytes) -> bytes:
        """Return JSON that is written already as a value; raises `OutputInvalid`."""
        ...


@runtime_checkable
class Narrowing(Protocol):
    """An encoder that leaves out the fields of a value which its schema has not."""

    def check_fields(self, names: Iterable[str]) -> None:
        """Refuse one that it would leave out; raises `OutputInvalid`."""
        ...


class JsonDecoder:
    """Strict JSON in UTF-8."""

    def is_loaded(self, value: bytes) -> bool:
        """Nothing is needed."""
        return True

    async def load(self, value: bytes) -> None:
        """Nothing is needed."""

    def decode(self, value: bytes) -> Any:
        """See `Decoder`."""
        try:
            return parse_value(value)
        except Undecodable as error:
            problem = frame_of(value, in_flow=True) or str(error)
        raise Undecodable(problem)

    def json_of(self, value: bytes) -> bytes:
        """See `JsonText`."""
        return value


class TextDecoder:
    """Text in UTF-8."""

    def is_loaded(self, value: bytes) -> bool:
        """Nothing is needed."""
        return True

    async def load(self, value: bytes) -> None:
        """Nothing is needed."""

    def decode(self, value: bytes) -> str:
        """See `Decoder`."""
        try:
            return value.decode("utf-8-sig")
        except UnicodeDecodeError:
            problem = "the value is not UTF-8 text"
        raise Undecodable(problem)  # outside of the block: the cause holds the value


class JsonEncoder:
    """JSON in UTF-8: decimals and times as text, bytes in base64."""

    is_loaded = True

    async def load(self) -> None:
        """Nothing is needed."""

    def encode(self, value: Any) -> bytes:
        """See `Encoder`."""
        return as_json(value)

    def encode_json(self, text: bytes) -> bytes:
        """See `JsonWriter`."""
        return text


class TextEncoder:
    """Text in UTF-8."""

    is_loaded = True

    async def load(self) -> None:
        """Nothing is needed."""

    def encode(self, value: Any) -> bytes:
        """See `Encoder`."""
        if isinstance(value, str):
            return value.encode()
        raise OutputInvalid('the output is no text: use output_format = "json"')


def as_json(value: Any) -> bytes:
    """Return ``value`` as JSON; raises `OutputInvalid`."""
    try:
        return to_json(value, bytes_mode="base64")
    except PydanticSerializationError:
        problem = "the output is not JSON"
    raise OutputInvalid(problem)
