"""A flow of the file: templates make the request, and a shape is given to the answer."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from streamapp.errors import ConfigurationError, Failure, InvalidRecord, Undecodable, UnknownType
from streamapp.flows.constants import wrong_constants
from streamapp.flows.expression import NAMES, Expression, compiled
from streamapp.flows.flow import Bounds, Emission, Start
from streamapp.flows.formats.choice import Formats, Output
from streamapp.flows.formats.codec import Encoder
from streamapp.flows.headers import headers_of
from streamapp.flows.kinds import kind_of
from streamapp.flows.problems import named
from streamapp.flows.replies import ReplyTopics
from streamapp.flows.shape import Shape
from streamapp.flows.source_record import SourceRecord
from streamapp.flows.values import SourceValues
from streamapp.processors.registry import OWN_TYPES, Registry
from streamapp.records.codec import parse_value, validate
from streamapp.records.problems import near
from streamapp.records.request import ID_LIMIT, Request
from streamapp.records.response import Response
from streamapp.settings.flows import FlowSettings

#: Fields of every request that a flow has settings of its own for, or no use of.
_RESERVED = frozenset({"type", "id", "model", "prompt", "cache", "stream"})


class FileFlow:
    """One ``[flows.NAME]``.

    Args:
        name: Of the table.
        settings: What stands in it.
        registry: Knows the record types.
        formats: Read and write its topics; plain ones alone where None.

    Raises:
        ConfigurationError: A template, the type or a field is wrong; a line for each.
    """

    keeps_keys = True

    def __init__(
        self,
        name: str,
        settings: FlowSettings,
        registry: Registry,
        formats: Formats | None = None,
    ) -> None:
        self.name = name
        self.input = settings.input
        self.outputs: tuple[str, ...] = (settings.output,)
        self.reply_topics = settings.reply_topics
        self.dead_letters = settings.dead_letter_topic
        self.start: Start = settings.from_
        self.bounds = Bounds(
            settings.weight, settings.max_in_flight, settings.ordering, settings.deadline_s
        )
        self._settings = settings
        self._replies = ReplyTopics(settings.reply_topics)
        self._problems: list[str] = []
        self._record = self._record_of(registry)
        self._when = self._expression("when", settings.when)
        self._id = self._expression("id", settings.id)
        self._tenant = self._expression("tenant", settings.tenant)
        self._fields = self._compiled_fields()
        self._read_and_write_by(formats or Formats())
        if self._when is not None and not self._when.is_value:
            self._problems.append(
                f"{self._place('when')}: write one {{{{ ... }}}} and nothing else"
            )
        if self._problems:
            raise ConfigurationError("\n".join(self._problems))

    def is_loaded(self, record: SourceRecord) -> bool:
        """See `Flow`."""
        return self._encoder.is_loaded and self._values.is_loaded(record)

    async def load(self, record: SourceRecord) -> None:
        """See `Flow`."""
        with named(self.name):
            await self._values.load(record)
            await self._encoder.load()

    def read(self, record: SourceRecord) -> Request | None:
        """Return the request of a record; None for one without a value, or that is filtered."""
        settings = self._settings
        with named(self.name):
            self._replies.asked(record)
            value = self._values.value(record)
            if value is None and settings.nulls == "skip":
                return None
            if value is None:
                raise InvalidRecord("the value is null")
        scope = _scope(record, self._values.key(record), value)
        if self._when is not None and not self._is_wanted(scope):
            return None
        if settings.shape == "merge" and not isinstance(value, Mapping):
            # Before the call: what cannot be written must not be paid.
            raise InvalidRecord(f"{self._place('shape')}: the value has no fields to merge into")
        fields: dict[str, Any] = {"type": settings.type, **self._given(scope)}
        for name in ("model", "prompt"):
            if (said := getattr(settings, name)) is not None:
                fields[name] = said
        if not settings.cache:
            fields["cache"] = False
        if self._id is not None:
            fields["id"] = self._text("id", self._id(scope))
        if self._tenant is not None and (tenant := self._tenant(scope)) is not None:
            metadata = fields.get("metadata") or {}
            fields["metadata"] = {**metadata, "tenant": self._text("tenant", tenant)}
        try:
            text = to_json(fields)
            with named(self.name):
                return validate(self._record, text)
        except (PydanticSerializationError, Undecodable):
            problem = f"{self._place(f'fields.{_unwritable(fields)}')}: it gives what is no JSON"
        raise InvalidRecord(problem)  # outside of the block: the cause holds the value

    def own_id(self, record: SourceRecord) -> str | None:
        """Return what the template ``id`` gives, also for a record that is skipped or wrong."""
        if self._id is None:
            return None
        try:
            value = self._values.value(record)
            return self._text("id", self._id(_scope(record, self._values.key(record), value)))
        except Failure:
            return None

    def write(self, record: SourceRecord, response: Response) -> list[Emission]:
        """Return the one record of an answer."""
        with named(self.name):
            reply_to = self._replies.asked(record)
            value = self._shape.value(record, response)
        headers = headers_of(record, response, is_reply=reply_to is not None)
        return [Emission(reply_to or self.outputs[0], value, record.key, headers)]

    def _is_wanted(self, scope: Mapping[str, Any]) -> bool:
        assert self._when is not None
        wanted = self._when(scope)
        if isinstance(wanted, bool):
            return wanted
        raise InvalidRecord(f"{self._place('when')}: it gives {kind_of(wanted)}, not true or false")

    def _text(self, field: str, value: Any) -> str:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not text:
            raise InvalidRecord(f"{self._place(field)}: it gives no text")
        if field == "id" and len(text) > ID_LIMIT:
            raise InvalidRecord(f"{self._place(field)}: it is longer than {ID_LIMIT} characters")
        return text

    # -- at start

    def _place(self, field: str) -> str:
        return f"[flows.{self.name}] {field}"

    def _read_and_write_by(self, formats: Formats) -> None:
        settings, place = self._settings, self._place
        output = Output(
            settings.output,
            settings.output_format,
            schema_file=settings.output_schema,
            message=settings.output_message,
            register=settings.register_schemas,
        )
        try:
            decoder = formats.decoder(settings.format, message=settings.message, place=place)
            keys = formats.decoder(
                settings.key_format, message=None, place=lambda _: place("key_format")
            )
            self._encoder: Encoder = formats.encoder(output, flow=self.name, place=place)
        except ConfigurationError as error:
            self._problems.append(str(error))
            return
        is_enveloped = settings.unwrap is not None
        self._values = SourceValues(
            decoder, keys, is_enveloped=is_enveloped, key_format=settings.key_format
        )
        self._shape = Shape(settings, self._values, self._encoder)

    def _record_of(self, registry: Registry) -> type[Request]:
        try:
            return registry.processor_for(self._settings.type).record
        except UnknownType:
            type = self._settings.type
            problem = f"there is no record type '{type}'{registry.instead_of(type)}; {OWN_TYPES}"
            self._problems.append(f"{self._place('type')}: {problem}")
            return Request

    def _expression(self, field: str, text: str | None) -> Expression | None:
        if text is None:
            return None
        try:
            return Expression(text, place=self._place(field))
        except ConfigurationError as error:
            self._problems.append(str(error))
            return None

    def _compiled_fields(self) -> dict[str, tuple[Any, Callable[[Mapping[str, Any]], Any] | None]]:
        found = {}
        known = {f.alias or n: f for n, f in self._record.model_fields.items()}
        for name, value in self._settings.fields.items():
            place = self._place(f"fields.{name}")
            if name in _RESERVED:
                has = "is a setting of the flow itself" if name != "stream" else "has no use here"
                self._problems.append(f"{place}: '{name}' {has}")
            elif self._record is not Request and name not in known:
                names = ", ".join(name for name in known if name not in _RESERVED)
                self._problems.append(
                    f"{place}: '{self._settings.type}' has no such field{near(name, known)}; it"
                    f" has: {names}"
                )
            try:
                found[name] = (value, compiled(value, place=place))
            except ConfigurationError as error:
                self._problems.append(str(error))
        if self._record is not Request:
            constants = {name: v for name, v in self._settings.fields.items() if name in known}
            self._problems += wrong_constants(
                constants, self._record, place=lambda path: self._place(f"fields.{path}")
            )
        for name, field in known.items():
            is_given = name in self._settings.fields or getattr(self._settings, name, None)
            if self._record is not Request and field.is_required() and not is_given:
                self._problems.append(
                    f"{self._place('fields')}: '{self._settings.type}' needs the field '{name}'"
                )
        return found

    def _given(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        return {n: fill(scope) if fill else value for n, (value, fill) in self._fields.items()}


def _scope(record: SourceRecord, key: Any, value: Any) -> dict[str, Any]:
    return dict(
        zip(
            NAMES,
            (
                value,
                key,
                record.header_texts,
                record.topic,
                record.partition,
                record.offset,
                record.timestamp,
            ),
            strict=True,
        )
    )


def _unwritable(fields: Mapping[str, Any]) -> str:
    """Return the name of the first field that is no JSON: bytes, or an infinite number."""
    for name, value in fields.items():
        try:
            parse_value(to_json(value))
        except (PydanticSerializationError, Undecodable):
            return name
    return ", ".join(fields)
