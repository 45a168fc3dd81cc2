"""A stored dead letter, and the filter that selects some."""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord
from pydantic_core import from_json

from streamapp.records.dead_letter import REPLAYS, Earlier, number, own_headers
from streamapp.streaming.delivery.ledger_entry import digest

#: Characters of a record that a list shows, and of a kind.
SHOWN, KIND_LIMIT = 2_000, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDeadLetter:
    """One dead letter.

    Attributes:
        partition: Of the dead-letter topic; with ``offset`` its place there.
        at: When it was written, seconds since the epoch.
        headers: The first of each name, as text.
        own: The headers of the record's producer.
        origin: Topic, partition and offset of the record that failed.
    """

    partition: int
    offset: int
    at: float
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str]
    own: Collection[tuple[str, bytes]]
    origin: tuple[str, int, int]

    @classmethod
    def of(cls, record: ConsumerRecord) -> "StoredDeadLetter | None":
        """Return what stands there, or None where it is no dead letter of ours."""
        headers: dict[str, str] = {}
        for name, value in record.headers:
            headers.setdefault(name, (value or b"").decode(errors="replace"))
        errors = {name: headers.get(f"__streams.errors.{name}", "") for name in _ORIGIN}
        places = [errors[name] for name in _ORIGIN[1:]]
        kind = headers.get("streamapp.error.kind", "")
        # A word, as all ours are and those of later versions will be.
        is_ours = errors["topic"] and kind.isidentifier() and len(kind) <= KIND_LIMIT
        if not is_ours or not all(_is_number(place) for place in places):
            return None
        return cls(
            partition=record.partition,
            offset=record.offset,
            at=record.timestamp / 1000,
            key=record.key,
            value=record.value,
            headers=headers,
            own=own_headers(record.headers),
            origin=(errors["topic"], int(places[0]), int(places[1])),
        )

    @property
    def place(self) -> str:
        """Where it stands, as commands name it."""
        return f"{self.partition}@{self.offset}"

    @property
    def mark(self) -> bytes:
        """What the record that failed is called in the notes of replays: its place and content.

        A place comes again where a log lost its end, or its topic was made anew.
        """
        return b"%b %b" % (self._origin_place, digest(self.value).encode())

    def is_in(self, notes: Container[bytes]) -> bool:
        """Whether it was sent again; notes of earlier versions name the place alone."""
        return self.mark in notes or self._origin_place in notes

    @property
    def _origin_place(self) -> bytes:
        topic, partition, offset = self.origin
        return f"{topic}-{partition}@{offset}".encode()

    @property
    def earlier(self) -> Earlier:
        """How often the record was tried and sent again, up to this dead letter."""
        return Earlier.of({name: text.encode() for name, text in self.headers.items()})

    @property
    def is_omitted(self) -> bool:
        """Whether the record or its key was too large to stand here."""
        return "streamapp.value" in self.headers or "streamapp.key" in self.headers

    @property
    def type(self) -> str | None:
        """The record's type, where there is one."""
        try:
            fields = from_json(self.value or b"")
        except ValueError:
            return None
        found = fields.get("type") if isinstance(fields, dict) else None
        return found if isinstance(found, str) else None

    @property
    def tenant(self) -> str | None:
        """``metadata.tenant`` of the record, where it can be read; None without one."""
        try:
            fields = from_json(self.value or b"")
        except ValueError:
            return None
        metadata = fields.get("metadata") if isinstance(fields, dict) else None
        found = metadata.get("tenant") if isinstance(metadata, dict) else None
        return found if isinstance(found, str) else None

    def summary(self) -> dict[str, Any]:
        """Return its place, its reason, and what there is of the record."""
        return {
            "partition": self.partition,
            "offset": self.offset,
            "at": self.at,
            "id": self.headers.get("streamapp.request.id"),
            "type": self.type,
            "kind": self.headers["streamapp.error.kind"],
            "stage": self.headers.get("streamapp.error.stage"),
            "message": self.headers.get("__streams.errors.message"),
            "attempts": self.earlier.attempts,
            "replays": number(self.headers.get(REPLAYS, "").encode()),
            "record": _text(self.value, SHOWN),
        }

    def detail(self) -> dict[str, Any]:
        """Return all there is of it; bytes that are no text are shown as far as they are."""
        topic, partition, offset = self.origin
        return self.summary() | {
            "exception": self.headers.get("__streams.errors.exception"),
            "first_failure": self.headers.get("streamapp.first-failure"),
            "origin": {"topic": topic, "partition": partition, "offset": offset},
            "headers": {name: _text(value) for name, value in self.own},
            "key": _text(self.key),
            "record": _text(self.value),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which dead letters are meant; what is empty or None means any.

    Attributes:
        text: Stands somewhere in id, type, kind, message or the record's first characters.
        since: Written then or later, seconds since the epoch.
        until: Written before.
        tenant: The record's own; what tells none is nobody's.
    """

    kinds: Collection[str] = ()
    types: Collection[str] = ()
    ids: Collection[str] = ()
    text: str = ""
    since: float | None = None
    until: float | None = None
    tenant: str | None = None

    def fits(self, dead_letter: StoredDeadLetter) -> bool:
        """Whether the dead letter is meant."""
        headers = dead_letter.headers
        return (
            (not self.kinds or headers["streamapp.error.kind"] in self.kinds)
            and (not self.ids or headers.get("streamapp.request.id") in self.ids)
            and (self.since is None or dead_letter.at >= self.since)
            and (self.until is None or dead_letter.at < self.until)
            and (self.tenant is None or dead_letter.tenant == self.tenant)
            and (not self.types or dead_letter.type in self.types)
            and (not self.text or self.text.lower() in _searched(dead_letter))
        )


_ORIGIN = ("topic", "partition", "offset")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _text(value: bytes | None, limit: int | None = None) -> str | None:
    if value is None:
        return None
    return value[: limit and 4 * limit].decode(errors="replace")[:limit]


def _searched(dead_letter: StoredDeadLetter) -> str:
    summary = dead_letter.summary()
    return " ".join(str(summary[n]) for n in ("id", "type", "kind", "message", "record")).lower()
