"""The schema of topics that carry bytes: an event's key and value are the message's own."""

from typing import Any

from faust import Schema


class RawSchema(Schema[bytes, bytes]):
    """Faust's schema of bytes, without its look-ups of codecs and settings for every record."""

    def __init__(self) -> None:
        super().__init__(
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            allow_empty=True,
        )

    def compile(self, app: Any, **options: Any) -> Any:
        """Return the function that makes an event of a message; nothing in it can fail."""
        make = app.conf.Event

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return make(app, message.key, message.value, message.headers, message)

        return decode
