"""A coroutine as a flow: what it is called with, and what its answer is written as.

What a call of it returns is encoded at once and kept whole in the answer: all that one record
emits is one ledger entry, and after a crash the same bytes are emitted again without a call.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from streamapp.errors import InternalError, InvalidRecord
from streamapp.flows.annotations import Annotations
from streamapp.flows.emit import SAME_KEY, Emit, Incoming
from streamapp.flows.flow import Bounds, Emission, Start
from streamapp.flows.formats.choice import Formats, Output
from streamapp.flows.formats.codec import Decoder, Encoder, JsonWriter
from streamapp.flows.headers import headers_of
from streamapp.flows.problems import named
from streamapp.flows.replies import ReplyTopics
from streamapp.flows.source_record import SourceRecord
from streamapp.llm.client import LLMClient
from streamapp.processors.registry import Processor
from streamapp.records.request import ID_LIMIT, Request
from streamapp.records.response import Response
from streamapp.settings.flows import Format


class FlowRequest(Request):
    """The request that a flow in Python makes of a record: it holds the record itself."""

    record: Any


@dataclass(frozen=True, slots=True)
class PythonFormats:
    """The formats of a flow in Python; as the settings of a flow of the file."""

    format: Format
    output_format: Format
    message: str | None = None
    output_schema: Path | None = None
    output_message: str | None = None
    register_schemas: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonFlow(Processor):
    """A coroutine that is a flow; made by `flow`, and a processor of its own type of request.

    Attributes:
        annotations: The types of its topics.
        id: Returns the id of a value; None for topic, partition and offset.
        tenant: Returns the tenant of a value, for budgets; None, or None of it, for nobody's.
        bounds: What it may use of a worker.
        formats: Of its topics.
        decoder: Of its input; by `with_formats`.
        encoders: Of its outputs; by `with_formats`.
    """

    name: str
    input: str
    outputs: tuple[str, ...]
    reply_topics: tuple[str, ...]
    dead_letters: str
    start: Start
    annotations: Annotations
    id: Callable[[Any], str] | None
    tenant: Callable[[Any], str | None] | None
    model: str | None
    cache: bool
    bounds: Bounds
    formats: PythonFormats
    decoder: Decoder
    encoders: Mapping[str, Encoder]

    async def returned(self, request: Request, llm: LLMClient) -> Any:
        """Return what the coroutine returns for a request's record, encoded.

        Raises:
            InternalError: It is not what the annotation says, or for a topic that is not named.
        """
        found = await self.run(cast(FlowRequest, request).record, llm)
        return encoded(found, self.annotations, self.name, self.outputs)

    @property
    def keeps_keys(self) -> bool:
        """No: `Emit` may say another one."""
        return False

    def with_formats(self, formats: Formats) -> "PythonFlow":
        """Return the flow with what reads and writes its topics; raises `ConfigurationError`."""
        said = self.formats

        def place(setting: str) -> str:
            return f"flow '{self.name}', {setting}"

        decoder = formats.decoder(said.format, message=said.message, place=place)
        encoders = {}
        for topic in self.outputs:
            output = Output(
                topic,
                said.output_format,
                schema_file=said.output_schema,
                schema=self.annotations.emitted_schema
                if said.output_format == "json-schema"
                else None,
                message=said.output_message,
                register=said.register_schemas,
            )
            encoders[topic] = formats.encoder(output, flow=self.name, place=place)
        return replace(self, decoder=decoder, encoders=encoders)

    def own_id(self, record: SourceRecord) -> str | None:
        """See `Flow`: the coroutine alone could tell."""
        return None

    def is_loaded(self, record: SourceRecord) -> bool:
        """See `Flow`."""
        if not all(encoder.is_loaded for encoder in self.encoders.values()):
            return False
        return record.value is None or self.decoder.is_loaded(record.value)

    async def load(self, record: SourceRecord) -> None:
        """See `Flow`."""
        for encoder in self.encoders.values():
            await encoder.load()
        if record.value is not None and not self.decoder.is_loaded(record.value):
            with named(self.name):
                await self.decoder.load(record.value)

    def read(self, record: SourceRecord) -> Request | None:
        """Return the request of a record; None where it has no value and the type needs one."""
        with named(self.name):
            ReplyTopics(self.reply_topics).asked(record)
        value = self._decoded(record.value)
        if value is None and not self.annotations.takes_none:
            return None
        given = value
        if self.annotations.is_incoming:
            given = Incoming(
                value,
                record.key,
                record.header_texts,
                record.topic,
                record.partition,
                record.offset,
                record.timestamp,
            )
        # Nothing of it is validated again: the record may be of any type.
        return cast(type[FlowRequest], self.record).model_construct(
            type=self.type,
            id=None if self.id is None else self._text("id", self.id, value),
            metadata=self._metadata_of(value),
            model=self.model,
            cache=self.cache,
            record=given,
        )

    def write(self, record: SourceRecord, response: Response) -> list[Emission]:
        """Return the records that the coroutine returned, as they were encoded then."""
        with named(self.name):
            reply_to = ReplyTopics(self.reply_topics).asked(record)
        found = []
        for part, fields in enumerate(response.output):
            is_reply = reply_to is not None and "to" not in fields
            own = headers_of(record, response, part=part, is_reply=is_reply)
            found.append(self._emission(fields, record, own, reply_to if is_reply else None))
        return found

    def _decoded(self, value: bytes | None) -> Any:
        if self.formats.format in ("json", "text") or value is None:
            return self.annotations.decode(value, flow=self.name)
        with named(self.name):
            decoded = self.decoder.decode(value)
        return None if decoded is None else self.annotations.check(decoded, flow=self.name)

    def _emission(
        self,
        fields: dict[str, Any],
        record: SourceRecord,
        own: Sequence[tuple[str, bytes]],
        reply_to: str | None,
    ) -> Emission:
        given = fields.get("headers", {})
        headers = [pair for pair in own if pair[0] not in given]
        headers += [(name, text.encode()) for name, text in given.items()]
        key = record.key
        if "key" in fields:
            key = None if fields["key"] is None else b64decode(fields["key"])
        topic = fields.get("to", self.outputs[0])
        text, encoder = fields["value"], self.encoders[topic]
        with named(self.name):
            if isinstance(encoder, JsonWriter):
                value = encoder.encode_json(text.encode())
            else:
                value = encoder.encode(self.annotations.emitted_value(text))
        return Emission(reply_to or topic, value, key, headers, keeps_key="key" not in fields)

    def _metadata_of(self, value: Any) -> dict[str, Any]:
        if self.tenant is None:
            return {}
        tenant = self._text("tenant", self.tenant, value, may_be_none=True)
        return {} if tenant is None else {"tenant": tenant}

    def _text(
        self, option: str, of: Callable[[Any], Any], value: Any, *, may_be_none: bool = False
    ) -> str | None:
        """Return what an option of the flow gives for a value; raises a `Failure`."""
        try:
            text = of(value)
        except Exception as error:
            problem = f"flow '{self.name}', {option}: raised {type(error).__name__}"
            raise InternalError(problem) from error
        if text is None and may_be_none:
            return None
        if not isinstance(text, str) or not text:
            raise InvalidRecord(f"flow '{self.name}', {option}: it gives no text")
        if len(text) > ID_LIMIT or not _is_utf8(text):
            raise InvalidRecord(
                f"flow '{self.name}', {option}: it gives no UTF-8 text of at most {ID_LIMIT}"
                " characters"
            )
        return text


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate
        return False
    return True


def _check_emit(emitted: Emit[Any], flow: str) -> None:
    """Refuse a key and headers that Kafka cannot be given; raises `InternalError`."""
    key, headers = emitted.key, emitted.headers or {}
    if not (key is None or isinstance(key, bytes) or (isinstance(key, str) and _is_utf8(key))):
        raise InternalError(f"flow '{flow}' emits a key that is no UTF-8 text and no bytes")
    if (
        not isinstance(headers, Mapping)
        or not all(isinstance(text, str) and text and _is_utf8(text) for text in headers)
        or not all(isinstance(text, str) and _is_utf8(text) for text in headers.values())
    ):
        raise InternalError(f"flow '{flow}' emits headers that are no texts by name")


def encoded(returned: Any, types: Annotations, flow: str, outputs: Sequence[str]) -> Any:
    """Return what a coroutine returned as JSON: a list of records.

    Raises:
        InternalError: It is not what the annotation says, or for a topic that is not named.
    """
    items = [] if returned is None else returned if isinstance(returned, list) else [returned]
    records = []
    for item in items:
        emitted = item if isinstance(item, Emit) else Emit(item)
        if emitted.to is not None and emitted.to not in outputs:
            known = ", ".join(outputs)
            raise InternalError(f"flow '{flow}' emits to a topic that it does not name: {known}")
        try:
            text, why = types.encode(emitted.value), None
        except ValueError as error:
            text, why = "", types.misfit(emitted.value, error)
        if why is not None:
            raise InternalError(f"flow '{flow}' returned what its annotation does not allow{why}")
        _check_emit(emitted, flow)
        fields: dict[str, Any] = {"value": text}
        if emitted.to is not None:
            fields["to"] = emitted.to
        if emitted.key is not SAME_KEY:
            key = emitted.key.encode() if isinstance(emitted.key, str) else emitted.key
            fields["key"] = None if key is None else b64encode(key).decode()
        if emitted.headers:
            fields["headers"] = dict(emitted.headers)
        records.append(fields)
    return records
