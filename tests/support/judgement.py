"""What a run was worth, from the topics, the sampled offsets and the provider's call log alone."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition

# A request that was in a socket when its sender died may reach the provider's log this late.
LATE_CALL_S = 1.0


@dataclass(frozen=True, slots=True)
class Input:
    """One request record; `id` is its own or the default of its position."""

    id: str
    key: bytes | None
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One response, or one dead letter when `kind` is set, at its place in the outcome topic."""

    id: str
    place: TopicPartition
    offset: int
    key: bytes | None
    value: bytes | None
    at_s: float
    kind: str | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One call that reached the provider, at `at_s` of the monotonic clock."""

    id: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Crash:
    """A worker stopped without a chance to finish, at some moment of this monotonic interval."""

    from_s: float
    to_s: float

    def caught(self, called_s: float, answered_s: float | None) -> bool:
        """Whether a record first called and first answered at these times may have been in it."""
        is_called = called_s <= self.to_s + LATE_CALL_S
        return is_called and (answered_s is None or answered_s >= self.from_s)


@dataclass(frozen=True, slots=True)
class Sample:
    """Committed offsets by input partition, then the ends of the outcome topics, in that order.

    An outcome delivered before the commit lies below those ends; so one that does not, and is
    missing below the committed offset, was committed too early. No clock is involved.
    """

    committed: Mapping[int, int]
    ends: Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The judgement; each list holds one readable line per fault.

    Attributes:
        repeats: Outcomes beyond one per input; allowed after a crash, when they are equal.
        missing: Inputs with neither a response nor a dead letter.
        overcommitted: Inputs below a committed offset before they had an outcome.
        unordered: Keys whose first responses do not follow the order of their inputs.
        unequal: Ids whose outcomes differ in their bytes.
        overpaid: Ids that were paid again with no crash to explain it.
    """

    inputs: int
    responses: int
    dead: Mapping[str, int]
    repeats: int
    calls: int
    samples: int
    missing: list[str] = field(default_factory=list)
    overcommitted: list[str] = field(default_factory=list)
    unordered: list[str] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)
    overpaid: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Every fault of every sort."""
        lists = (self.missing, self.overcommitted, self.unordered, self.unequal, self.overpaid)
        return list(itertools.chain(*lists))

    def __str__(self) -> str:
        numbers = (
            f"{self.inputs} records: {self.responses} responses, dead letters {dict(self.dead)},"
            f" {self.repeats} repeated, {self.calls} provider calls, {self.samples} samples,"
            f" {len(self.faults)} faults"
        )
        return "\n".join([numbers, *self.faults[:20]])


def judge(
    inputs: Sequence[Input],
    outcomes: Mapping[str, Sequence[Outcome]],
    samples: Sequence[Sample],
    *,
    calls: Iterable[Call] = (),
    crashes: Iterable[Crash] = (),
) -> Report:
    """Judge a run.

    Args:
        inputs: Every request record, in offset order within a partition.
        outcomes: Responses and dead letters by request id.
        samples: Committed offsets, in the order they were sampled.
        calls: The provider's call log; a record may be paid once, and once more for each crash
            that caught it between its first call and its first answer.
        crashes: Moments at which workers were killed or frozen.
    """
    calls = list(calls)
    dead = Counter(o.kind for found in outcomes.values() for o in found if o.kind)
    expected = Counter(record.id for record in inputs)
    return Report(
        inputs=len(inputs),
        responses=sum(len(found) for found in outcomes.values()) - dead.total(),
        dead=dead,
        repeats=sum(max(0, len(found) - expected[id_]) for id_, found in outcomes.items()),
        calls=len(calls),
        samples=len(samples),
        missing=[f"lost: {record}" for record in inputs if record.id not in outcomes],
        overcommitted=_overcommitted(inputs, outcomes, samples),
        unordered=_unordered(inputs, outcomes),
        unequal=[
            f"answers differ: {id_}: {[(o.kind, o.value) for o in found]}"
            for id_, found in outcomes.items()
            if len({(o.kind, o.value) for o in found}) > 1
        ],
        overpaid=_overpaid(outcomes, calls, list(crashes)),
    )


def _overcommitted(
    inputs: Sequence[Input],
    outcomes: Mapping[str, Sequence[Outcome]],
    samples: Sequence[Sample],
) -> list[str]:
    by_partition: dict[int, list[Input]] = defaultdict(list)
    for record in inputs:
        by_partition[record.partition].append(record)
    faults, checked = [], Counter[int]()  # the ends only grow, so each input is checked once
    for number, sample in enumerate(samples):
        for partition, committed in sample.committed.items():
            records = by_partition[partition]
            while checked[partition] < len(records):
                record = records[checked[partition]]
                if record.offset >= committed:
                    break
                checked[partition] += 1
                found = outcomes.get(record.id, ())
                if not any(o.offset < sample.ends[o.place] for o in found):
                    faults.append(f"committed {committed} too early: {record}, sample {number}")
    return faults


def _unordered(inputs: Sequence[Input], outcomes: Mapping[str, Sequence[Outcome]]) -> list[str]:
    by_key: dict[tuple[bytes, int], list[Outcome]] = defaultdict(list)
    for record in inputs:
        responses = [o for o in outcomes.get(record.id, ()) if not o.kind]
        if responses and record.key is not None:
            first = min(responses, key=lambda o: o.offset)
            by_key[record.key, record.partition].append(first)
    faults = []
    for (key, _), firsts in by_key.items():
        if len({outcome.place for outcome in firsts}) > 1:
            faults.append(f"key {key!r}: its responses are on several partitions")
        for one, other in itertools.pairwise(firsts):
            if one.offset > other.offset:
                faults.append(f"key {key!r}: {other.id} was answered before {one.id}")
    return faults


def _overpaid(
    outcomes: Mapping[str, Sequence[Outcome]], calls: list[Call], crashes: list[Crash]
) -> list[str]:
    called: dict[str, list[float]] = defaultdict(list)
    for call in calls:
        called[call.id].append(call.at_s)
    faults = []
    for id_, times in called.items():
        answered_s = min((o.at_s for o in outcomes.get(id_, ())), default=None)
        caught = sum(crash.caught(min(times), answered_s) for crash in crashes)
        if len(times) > 1 + caught:
            faults.append(f"{id_} was paid {len(times)} times, {caught} crashes caught it")
    return faults
