"""The index of a ledger's entries: what eviction and recovery need of each, in memory."""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from streamapp.streaming.delivery.ledger_entry import (
    RECORD_SEPARATOR,
    STEP_SEPARATOR,
    EntryHead,
    LedgerEntry,
    id_of,
    is_place_key,
)

#: What an entry costs besides its key and value: its line, index and objects; bytes.
ENTRY_BYTES = 700
#: What a step costs besides: what it is found by, the only one of its record's id perhaps; bytes.
STEP_BYTES = 380

#: Entries looked at in one eviction: bounds the time of a write, and is ahead of what comes in.
EVICTION_STEPS = 16
#: Writes until the next eviction after one that found nothing but held entries.
EVICTION_PAUSE = 64


class LedgerLine(NamedTuple):
    """What eviction needs to know of an entry without reading it.

    No frozen dataclass, which takes three times as long to make: there is one for each record, and
    for each entry of a recovery.
    """

    partition: int
    offset: int
    expires_at: float
    generation: int
    group: int | None
    fingerprint: str | None
    is_step: bool
    is_dead: bool
    size: int

    @classmethod
    def of(cls, head: EntryHead, size: int) -> "LedgerLine":
        """Return the line of an entry whose value has ``size`` bytes."""
        return cls(*head, size + ENTRY_BYTES + STEP_BYTES * head.is_step)

    @property
    def place(self) -> tuple[int, int]:
        """Partition and offset of the record."""
        return self.partition, self.offset

    @property
    def rank(self) -> tuple[int, int]:
        """Which group wrote it, and in which generation; no clock tells."""
        return self.group or 0, self.generation

    def outranks(self, later: "LedgerLine", *, session_s: float) -> bool:
        """Whether an entry is not replaced by one of its key and partition that stands behind it.

        What a worker wrote that its group had given up does not replace what its partition's next
        owner wrote: only the latter was emitted. In a group that was deleted and began anew,
        generations begin anew as well, and its number is higher.

        Args:
            later: The entry behind this one.
            session_s: Longest time for which a worker writes that its group has given up, seconds.
        """
        if self.group is not None and later.group is not None:
            return self.rank > later.rank
        # Of an older version: what was made within a session of this one is of the same group.
        is_soon = self.expires_at >= later.expires_at - session_s
        return is_soon and self.generation > later.generation

    def outlasts(self, other: "LedgerLine") -> bool:
        """Whether it answers records of its id for longer than another partition's entry does.

        A dead letter answers none but its own.
        """
        return (not self.is_dead, self.expires_at) > (not other.is_dead, other.expires_at)


class LedgerIndex:
    """The lines of all entries by their keys, oldest first.

    Attributes:
        lines: Changed by `add` and `remove` alone.
        size_bytes: What all entries cost.
        steps: The keys of those that are steps, by the record's id and by `shared_name`, the
            oldest first.
        aside: The keys of answers that stand under their places, by the ids: another partition's
            stands under the id.
    """

    def __init__(self) -> None:
        # A plain dictionary walks past all that has left at its front to find its first key.
        self.lines: OrderedDict[bytes, LedgerLine] = OrderedDict()
        self.size_bytes = 0
        self.steps: dict[bytes, dict[bytes, tuple[bytes, ...]]] = {}
        self.aside: dict[bytes, tuple[bytes, ...]] = {}
        self._by_fingerprint: dict[str, bytes] = {}
        self._pause = 0

    def add(self, key: bytes, line: LedgerLine) -> LedgerLine | None:
        """Put an entry at the end, in place of an older one of its key; return that."""
        replaced = self.remove(key) if key in self.lines else None
        self.lines[key] = line
        self.size_bytes += len(key) + line.size
        if line.is_step:
            id, name = _found_by(key)
            steps = self.steps.setdefault(id, {})
            steps[name] = (*steps.get(name, ()), key)
        elif not line.is_dead and is_place_key(key):
            id = id_of(key)
            self.aside[id] = (*self.aside.get(id, ()), key)
        if line.fingerprint is not None:
            self._by_fingerprint[line.fingerprint] = key
        return replaced

    def remove(self, key: bytes) -> LedgerLine:
        """Take an entry out; it is there."""
        line = self.lines.pop(key)
        self.size_bytes -= len(key) + line.size
        if line.is_step:
            id, name = _found_by(key)
            steps = self.steps[id]
            if others := tuple(other for other in steps.pop(name) if other != key):
                steps[name] = others
            elif not steps:
                del self.steps[id]
        elif not line.is_dead and is_place_key(key):
            id = id_of(key)
            if others := tuple(other for other in self.aside.pop(id) if other != key):
                self.aside[id] = others
        if line.fingerprint is not None and self._by_fingerprint.get(line.fingerprint) == key:
            del self._by_fingerprint[line.fingerprint]
        return line

    def evict(
        self, *, now: float, max_bytes: float, is_held: Callable[[LedgerLine], bool]
    ) -> list[tuple[bytes, LedgerLine]]:
        """Take out what is past its time, and the oldest past the size; return that.

        Args:
            now: Seconds since the epoch.
            max_bytes: Upper bound of `size_bytes`, but for what is held.
            is_held: Whether an entry stays, past its time, too.
        """
        if self._pause:
            self._pause -= 1
            return []
        gone, held = list[tuple[bytes, LedgerLine]](), 0
        for _ in range(min(len(self.lines), EVICTION_STEPS)):
            key, line = next(iter(self.lines.items()))
            if line.expires_at > now and self.size_bytes <= max_bytes:
                break
            self.remove(key)
            if is_held(line):
                self.add(key, line)  # to the end, and looked at again
                held += 1
            else:
                gone.append((key, line))
        if held == EVICTION_STEPS:
            self._pause = EVICTION_PAUSE
        return gone

    def answer_to(self, fingerprint: str) -> bytes | None:
        """Return the key of the newest answer to calls of that fingerprint."""
        return self._by_fingerprint.get(fingerprint)

    def finished_steps(self, is_same: Callable[[bytes, bytes], bool]) -> list[bytes]:
        """Return the keys of steps whose records are finished: nobody needs them any more.

        Args:
            is_same: Whether the entries of two keys are of records of one content.
        """
        if not self.steps:
            return []
        return [k for k, line in self.lines.items() if line.is_step and self._is_over(k, is_same)]

    def _is_over(self, key: bytes, is_same: Callable[[bytes, bytes], bool]) -> bool:
        """Whether the record of a step is finished, as `known_outcome` knows it.

        Of records of one id an answer is for all of its partition, with which it comes and goes,
        and a dead letter for its own alone: what is sent again has its id, and so may another
        one, before or behind it.
        """
        step, id = self.lines[key], id_of(key)
        for known in (LedgerEntry.place_key(id, *step.place), id):
            record = self.lines.get(known)
            if record is not None and not record.is_step and is_same(key, known):
                is_of_all = not record.is_dead and record.partition == step.partition
                return is_of_all or record.place == step.place
        return False


def _found_by(step: bytes) -> tuple[bytes, bytes]:
    """Return of a step's key the record's id and the `shared_name`."""
    id, _, name = step.partition(STEP_SEPARATOR)
    return id, name.rpartition(RECORD_SEPARATOR.encode())[0]
