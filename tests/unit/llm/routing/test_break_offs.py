"""Calls that broke off at one moment, and probes among them."""

import pytest

from streamapp.llm.routing.break_offs import LONGEST_S, BreakOffs


@pytest.mark.parametrize(("other", "at", "has_others"), [("b", 9.6, True), ("b", 9.4, False)])
def test_calls_of_other_records_at_one_moment_are_known(
    other: str, at: float, has_others: bool
) -> None:
    """Half a second apart, whichever came first; a record's own calls count as one."""
    break_offs = BreakOffs(4.0)
    break_offs.note(other, at=at)
    break_offs.note("a", at=10.0)
    break_offs.note("a", at=10.1)

    assert break_offs.has_others("a", at=10.0) == has_others
    assert break_offs.has_others("b", at=at) == has_others


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("a", 1.0, 2.0), ("a", 1.0, 2.0)),  # one record's
        (("a", 1.0, 2.0), ("b", 2.1, 2.3)),  # one behind the other
        (("a", 1.0, 2.0), ("b", 1.0, 2.6)),  # each by itself
    ],
    ids=["one record", "behind it", "later"],
)
def test_probes_that_tell_nothing_of_each_other(
    first: tuple[str, float, float], second: tuple[str, float, float]
) -> None:
    """Others may still go beside them."""
    break_offs = BreakOffs(4.0)
    for of, since, at in (first, second):
        break_offs.note_probe(of, since=since, at=at)

    assert break_offs.alone_s == 0


def test_probes_that_broke_off_together_are_alone_for_longer_each_time() -> None:
    """Once a moment, however many did; not for ever, and not after it is forgotten."""
    break_offs = BreakOffs(4.0)
    alone_s = []
    for at in range(10, 80, 10):
        for record in "abc":
            break_offs.note_probe(record, since=at - 5.0, at=float(at))
        alone_s.append(break_offs.alone_s)

    assert alone_s == [4, 8, 16, 32, 64, LONGEST_S, LONGEST_S]
    break_offs.forget()
    assert break_offs.alone_s == 0
