"""An entry of the ledger, as its changelog carries it."""

import re
from hashlib import blake2b
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

#: What the envelope of an entry adds to an answer at most, bytes.
ENVELOPE_BYTES = 400

#: Between an id and the number of a step in a key: a byte that UTF-8 never has, so no id either.
STEP_SEPARATOR = b"\xff"

#: Between the number of a step, the content of its record and its place, where a step is kept.
RECORD_SEPARATOR = "@"

#: What `LedgerEntry.encode` writes before the answer, the step or the dead letter.
_HEAD = re.compile(
    rb'\{"digest":"[0-9a-f]*","partition":(\d+),"offset":(\d+),"expires_at":(\d+\.\d+),'
    rb'"generation":(\d+),(?:"group":(\d+),)?(?:"input":"[0-9a-f]*",)?(?:"fingerprint":"([0-9a-f]*)",)?"(answer|step|dead_letter)":'
)

#: What it begins with.
_DIGEST = re.compile(rb'\{"digest":"([0-9a-f]*)"')


class EntryHead(NamedTuple):
    """What an entry says of itself before its answer; see `LedgerEntry`."""

    partition: int
    offset: int
    expires_at: float
    generation: int
    group: int | None
    fingerprint: str | None
    is_step: bool
    is_dead: bool


def digest(value: bytes | None) -> str:
    """Return the hash by which equal records are known, 32 hexadecimal digits."""
    return blake2b(value or b"", digest_size=16).hexdigest()


def content_of(value: bytes | None) -> bytes:
    """Return what is the same of the entries of records of one content: its digest is first."""
    return (value or b"").split(b",", 1)[0]


def id_of(key: bytes) -> bytes:
    """Return the id of the record that the entry of a key is of: its key, as a rule."""
    return key.partition(STEP_SEPARATOR)[0]


def is_place_key(key: bytes) -> bool:
    """Whether `LedgerEntry.place_key` returned it."""
    return STEP_SEPARATOR * 2 in key


def shared_name(number: str, digest: str) -> str:
    """Return what the steps of one number of records of one content have in common."""
    return f"{number}{RECORD_SEPARATOR}{digest[:16]}"


def step_name(number: str, digest: str, partition: int, offset: int) -> str:
    """Return what a step is kept under beside its record's id.

    Records of one id each keep their own: one of them may be dead, and its steps gone with it.
    """
    return f"{shared_name(number, digest)}{RECORD_SEPARATOR}{partition}:{offset}"


def kept_key(key: bytes, value: bytes, partition: int, offset: int) -> bytes:
    """Return the key under which a step is kept that older versions keep under its number.

    Args:
        key: In the changelog, as `logged_key` returns it, or of what any version kept.
        value: The step's entry.
        partition: Of the record.
        offset: Likewise.
    """
    found = _DIGEST.match(value)
    digest = LedgerEntry.decode(value).digest if found is None else found[1].decode()
    return logged_key(key) + step_name("", digest, partition, offset).encode()


def logged_key(key: bytes) -> bytes:
    """Return the key of an entry in the changelog, where a step has no more than its number.

    Older versions read it there. It is not compacted, so none takes another one's place.
    """
    id, separator, name = key.partition(STEP_SEPARATOR)
    return id + separator + name.partition(RECORD_SEPARATOR.encode())[0]


def input_hash(topic: str) -> str:
    """Return the hash by which a flow's input is known, 16 hexadecimal digits."""
    return blake2b(topic.encode(), digest_size=8).hexdigest()


class LedgerEntry(NamedTuple):
    """One finished record, or one finished step of a record in progress.

    A tuple, since one is copied for each record: a quarter of what a dataclass costs.

    Attributes:
        digest: Hash of the record's bytes.
        expires_at: Seconds since the epoch.
        generation: Of the group, in which it was written; 0 where an older version wrote it.
        group: Which of the groups of that name it was, that an operator may have deleted: a later
            one has a higher number in the partition's changelog. None from an older version.
        input: Of the flow's input, as `input_hash`: a flow that takes another's name has its
            ledger; None for requests, and where an older version wrote it.
        answer: The response record's bytes; None for a dead-lettered record.
        fingerprint: Of the one call that ``answer`` answers as it is, where equal calls may have
            it; None elsewhere.
        dead_letter: The dead letter's headers; None for an answered record.
        step: A finished step, as `StoredStep.encode` writes it; None for a finished record.
    """

    digest: str
    partition: int
    offset: int
    expires_at: float
    answer: bytes | None = None
    fingerprint: str | None = None
    dead_letter: dict[str, str] | None = None
    step: bytes | None = None
    generation: int = 0
    input: str | None = None
    group: int | None = None

    @staticmethod
    def key(id: str, step: str) -> bytes:
        """Return the key of an id, or of what `step_name` returns for a step of its record."""
        return id.encode() + STEP_SEPARATOR + step.encode() if step else id.encode()

    @staticmethod
    def place_key(key: bytes, partition: int, offset: int) -> bytes:
        """Return the key of a record's outcome beside a later record's of its id.

        Args:
            key: Of the id.
            partition: Where the record stands.
            offset: Likewise.
        """
        return b"%b%b%d:%d" % (key, STEP_SEPARATOR * 2, partition, offset)

    def encode(self) -> bytes:
        """Return the entry as JSON; the answer stands in it as it was emitted."""
        head = (
            f'{{"digest":"{self.digest}","partition":{self.partition},'
            f'"offset":{self.offset},"expires_at":{self.expires_at:.3f},'
            f'"generation":{self.generation},'
        )
        if self.group is not None:
            head += f'"group":{self.group},'
        if self.input is not None:
            head += f'"input":"{self.input}",'
        if self.fingerprint is not None:
            head += f'"fingerprint":"{self.fingerprint}",'
        if self.answer is not None:
            return b'%b"answer":%b}' % (head.encode(), self.answer)
        if self.step is not None:
            return b'%b"step":%b}' % (head.encode(), self.step)
        return b'%b"dead_letter":%b}' % (head.encode(), to_json(self.dead_letter))

    @classmethod
    def decode(cls, value: bytes) -> "LedgerEntry":
        """Return the entry that ``encode`` wrote; fields of a newer version are passed over.

        Raises:
            ValueError: It is no entry.
        """
        fields: dict[str, Any] = from_json(value)
        answer = _rest(value, fields, "answer") if "answer" in fields else None
        step = _rest(value, fields, "step") if "step" in fields and answer is None else None
        return cls(
            digest=fields["digest"],
            partition=fields["partition"],
            offset=fields["offset"],
            expires_at=fields["expires_at"],
            answer=answer,
            fingerprint=fields.get("fingerprint"),
            dead_letter=fields.get("dead_letter"),
            step=step,
            generation=fields.get("generation", 0),
            input=fields.get("input"),
            group=fields.get("group"),
        )

    @classmethod
    def head_of(cls, value: bytes) -> EntryHead:
        """Return the head of the entry that ``encode`` wrote, without reading what follows it.

        Raises:
            ValueError: It is no entry.
        """
        found = _HEAD.match(value)
        if found is None or not value.endswith(b"}"):
            return cls.decode(value).head  # of another version
        partition, offset, expires_at, generation, group, fingerprint, kind = found.groups()
        return EntryHead(
            int(partition),
            int(offset),
            float(expires_at),
            int(generation),
            None if group is None else int(group),
            None if fingerprint is None else fingerprint.decode(),
            kind == b"step",
            kind == b"dead_letter",
        )

    @property
    def head(self) -> EntryHead:
        """What eviction needs to know of it."""
        return EntryHead(
            self.partition,
            self.offset,
            self.expires_at,
            self.generation,
            self.group,
            self.fingerprint,
            self.step is not None,
            self.step is None and self.answer is None,
        )

    def is_from(self, input: str | None) -> bool:
        """Whether it was written for a record of that input, as `input_hash`, or may have been."""
        return self.input is None or self.input == input

    def is_of(self, partition: int, offset: int) -> bool:
        """Whether the entry was written for the record at that position."""
        return (self.partition, self.offset) == (partition, offset)


def _rest(value: bytes, fields: dict[str, Any], name: str) -> bytes:
    """Return the bytes of a field: what stands behind its name, where it is the last one."""
    if next(reversed(fields)) == name:
        mark = b'"%b":' % name.encode()
        return value[value.index(mark) + len(mark) : -1]
    return to_json(fields[name])  # of a newer version, with fields behind it
