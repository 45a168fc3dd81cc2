"""The value that a flow writes for an answer: the response, its output, or both in the source."""

from collections.abc import Mapping
from typing import Any

from streamapp.errors import InvalidRecord, OutputInvalid
from streamapp.flows.formats.codec import Encoder, JsonWriter, Narrowing, as_json
from streamapp.flows.merge import merge
from streamapp.flows.source_record import SourceRecord
from streamapp.flows.values import SourceValues
from streamapp.records.response import Response
from streamapp.settings.flows import FlowSettings


class Shape:
    """Writes the answers of a flow of the file.

    Args:
        settings: Name the shape.
        values: Read what an answer is merged into.
        encoder: Of the output.
    """

    def __init__(self, settings: FlowSettings, values: SourceValues, encoder: Encoder) -> None:
        self._shape = settings.shape
        self._merge_into = settings.merge_into
        self._values = values
        self._encoder = encoder

    def value(self, record: SourceRecord, response: Response) -> bytes:
        """Return the value of the output record; equal for equal arguments.

        Raises:
            Failure: The answer cannot be written so.
        """
        encoder = self._encoder
        if self._shape == "output":
            return encoder.encode(response.output)
        if self._shape == "response":
            if isinstance(encoder, JsonWriter):
                return encoder.encode_json(response.encode())
            return encoder.encode(response.model_dump(mode="python", exclude_none=True))
        members = self._members(response.output)
        text = self._values.text(record)
        if isinstance(encoder, JsonWriter) and text is not None:
            try:
                return encoder.encode_json(merge(text, {n: as_json(v) for n, v in members.items()}))
            except (ValueError, KeyError):
                problem = "the source is no JSON object: nothing can be merged into it"
            raise InvalidRecord(problem)
        source = self._values.value(record)
        if not isinstance(source, Mapping):
            raise InvalidRecord("the source has no fields: nothing can be merged into it")
        if isinstance(encoder, Narrowing):
            encoder.check_fields(members)  # what was paid for must not get lost
        return encoder.encode({**source, **members})

    def _members(self, output: Any) -> dict[str, Any]:
        if self._merge_into is not None:
            return {self._merge_into: output}
        if isinstance(output, Mapping):
            return dict(output)
        raise OutputInvalid("the output is no object: set merge_into to the field that takes it")
