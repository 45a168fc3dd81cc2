"""The judge of the fault tests: it names each sort of fault, and only that."""

from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition

from tests.support.judgement import Call, Crash, Input, Outcome, Report, Sample, judge

PLACE = TopicPartition("responses", 0)
INPUTS = [Input(f"r-{offset}", b"k", 0, offset) for offset in range(3)]


def answer(id_: str, offset: int, value: bytes = b"v", at_s: float = 10.0) -> Outcome:
    return Outcome(id=id_, place=PLACE, offset=offset, key=b"k", value=value, at_s=at_s)


def judged(
    outcomes: Sequence[Outcome],
    samples: Sequence[Sample] = (),
    calls: Sequence[Call] = (),
    crashes: Sequence[Crash] = (),
) -> Report:
    by_id: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_id.setdefault(outcome.id, []).append(outcome)
    return judge(INPUTS, by_id, samples, calls=calls, crashes=crashes)


ALL = [answer("r-0", 0), answer("r-1", 1), answer("r-2", 2)]


def test_a_good_run_has_no_fault() -> None:
    """Everything answered once, in order, committed behind the answers, paid once: no fault."""
    samples = [Sample({}, {PLACE: 0}), Sample({0: 2}, {PLACE: 2}), Sample({0: 3}, {PLACE: 3})]
    calls = [Call(f"r-{number}", 1.0) for number in range(3)]

    report = judged(ALL, samples, calls)

    assert report.faults == []
    assert (report.responses, report.repeats, report.calls) == (3, 0, 3)


def test_an_input_without_an_outcome_is_missing() -> None:
    """A record with neither a response nor a dead letter is named."""
    report = judged(ALL[:2])

    assert report.faults == report.missing == [f"lost: {INPUTS[2]}"]


@pytest.mark.parametrize(
    ("end", "faults"), [(2, 1), (3, 0)], ids=["answered-later", "answered-before"]
)
def test_a_commit_is_too_early_above_an_outcome_not_yet_there(end: int, faults: int) -> None:
    """A committed offset may pass a record only when its outcome lies below the sampled end."""
    samples = [Sample({0: 3}, {PLACE: end}), Sample({0: 3}, {PLACE: 3})]

    report = judged(ALL, samples)

    assert len(report.faults) == len(report.overcommitted) == faults


def test_a_key_out_of_order_is_named_by_its_first_answers() -> None:
    """A later record's first answer before an earlier one's is a fault; a repeat is not."""
    swapped = judged([answer("r-0", 1), answer("r-1", 0), answer("r-2", 2)])
    repeated = judged([*ALL, answer("r-0", 3)])

    assert swapped.faults == swapped.unordered == ["key b'k': r-1 was answered before r-0"]
    assert (repeated.faults, repeated.repeats) == ([], 1)


def test_repeated_answers_must_be_equal() -> None:
    """A repeat with other bytes is a fault."""
    report = judged([*ALL, answer("r-0", 3, value=b"other")])

    assert report.faults == report.unequal
    assert len(report.unequal) == 1


@pytest.mark.parametrize(
    ("crashes", "faults"),
    [
        ([], 1),
        ([Crash(5.0, 5.0)], 0),
        ([Crash(11.0, 11.0)], 1),
        ([Crash(-1.0, -1.0)], 1),
    ],
    ids=["no-crash", "in-flight", "after-the-answer", "before-the-call"],
)
def test_a_second_payment_needs_a_crash_that_caught_the_record(
    crashes: list[Crash], faults: int
) -> None:
    """A record is paid twice only when a crash lies between its first call and its answer."""
    calls = [Call("r-0", 1.0), Call("r-0", 6.0), Call("r-1", 1.0), Call("r-2", 1.0)]

    report = judged(ALL, calls=calls, crashes=crashes)

    assert len(report.faults) == len(report.overpaid) == faults


@pytest.mark.parametrize("end", [2, 3])
def test_offsets_that_did_not_change_say_nothing_more(end: int) -> None:
    """So the verifier asks for ends only where they did: each input is judged at one sample."""
    changed = [Sample({}, {PLACE: 0}), Sample({0: 2}, {PLACE: 2}), Sample({0: 3}, {PLACE: end})]
    unchanged = [Sample(sample.committed, {PLACE: 3}) for sample in changed]
    all_samples = [sample for pair in zip(changed, unchanged, strict=True) for sample in pair]

    assert len(judged(ALL, changed).overcommitted) == 3 - end
    assert judged(ALL, changed).overcommitted == [
        fault.replace("sample 4", "sample 2") for fault in judged(ALL, all_samples).overcommitted
    ]
