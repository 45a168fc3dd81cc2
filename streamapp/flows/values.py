"""The values and keys of a flow's source records: decoded, and out of their envelope."""

from typing import Any

from streamapp.errors import Failure
from streamapp.flows.absent import Unreadable
from streamapp.flows.formats.codec import Decoder, JsonText
from streamapp.flows.formats.debezium import unwrapped, unwrapped_text
from streamapp.flows.source_record import SourceRecord
from streamapp.settings.flows import Format


class SourceValues:
    """Reads source records.

    Args:
        decoder: Of values.
        key_decoder: Of keys.
        is_enveloped: Whether values are change events of Debezium.
        key_format: What the key decoder reads, for messages.
    """

    def __init__(
        self,
        decoder: Decoder,
        key_decoder: Decoder,
        *,
        is_enveloped: bool,
        key_format: Format = "text",
    ) -> None:
        self._decoder = decoder
        self._key_decoder = key_decoder
        self._is_enveloped = is_enveloped
        self._key_problem = (
            "key is not UTF-8 text: set key_format"
            if key_format == "text"
            else f'key is not what key_format = "{key_format}" says'
        )

    def is_loaded(self, record: SourceRecord) -> bool:
        """Whether `value` and `key` may be called at once."""
        value, key = record.value, record.key
        return (value is None or self._decoder.is_loaded(value)) and (
            key is None or self._key_decoder.is_loaded(key)
        )

    async def load(self, record: SourceRecord) -> None:
        """Have the schemas of value and key; waits for a registry."""
        value, key = record.value, record.key
        if value is not None and not self._decoder.is_loaded(value):
            await self._decoder.load(value)
        if key is not None and not self._key_decoder.is_loaded(key):
            await self._key_decoder.load(key)

    def value(self, record: SourceRecord) -> Any:
        """Return what the value holds; None for null, a tombstone or a delete.

        Raises:
            Failure: It is no value of the format.
        """
        if record.value is None:
            return None
        value = self._decoder.decode(record.value)
        return unwrapped(value) if self._is_enveloped and value is not None else value

    def key(self, record: SourceRecord) -> Any:
        """Return what the key holds; what fails when a template uses it, where it is none."""
        if record.key is None:
            return None
        try:
            return self._key_decoder.decode(record.key)
        except Failure:
            return Unreadable(self._key_problem)

    def text(self, record: SourceRecord) -> bytes | None:
        """Return the value as JSON, as it was written; None where it was not written so."""
        if not isinstance(self._decoder, JsonText) or record.value is None:
            return None
        text = self._decoder.json_of(record.value)
        return unwrapped_text(text) if self._is_enveloped else text
