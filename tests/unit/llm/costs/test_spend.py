"""The sums of all workers."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.llm.costs.spend import NOTHING, Amounts, Spend

ACCOUNT = ("2030-01-02", "all")
ONE = Amounts(records=1, tokens=10, usd=Decimal("0.1"))


def told(*spends: Spend) -> list[tuple[bytes, bytes]]:
    return [record for spend in spends for record in spend.take()]


def test_own_spend_counts_at_once() -> None:
    """What a worker spends is in its total before anyone is told."""
    spend = Spend("a")

    spend.add(ACCOUNT, ONE)
    spend.add(ACCOUNT, ONE)

    assert spend.total(ACCOUNT) == Amounts(records=2, tokens=20, usd=Decimal("0.2"))
    assert spend.total(("2030-01-02", "tenant/b")) == NOTHING


def test_only_changes_are_told() -> None:
    """A sum is told once after each change, not more."""
    spend = Spend("a")
    assert spend.take() == []
    spend.add(ACCOUNT, ONE)
    spend.add(ACCOUNT, ONE)

    assert len(spend.take()) == 1
    assert spend.take() == []


@given(
    deliveries=st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30),
    order=st.randoms(use_true_random=False),
)
def test_every_worker_comes_to_the_same_total(
    deliveries: list[tuple[str, bool]], order: object
) -> None:
    """Whatever the order, and however often sums are heard, all workers agree in the end."""
    workers = {name: Spend(name) for name in "abc"}
    records: list[tuple[bytes, bytes]] = []
    for name, is_told in deliveries:
        workers[name].add(ACCOUNT, ONE)
        if is_told:
            records += workers[name].take()
    records += told(*workers.values())
    heard = [*records, *records]
    order.shuffle(heard)  # type: ignore[attr-defined]

    for spend in workers.values():
        for key, value in heard:
            spend.merge(key, value)

    expected = Amounts(
        records=len(deliveries), tokens=10 * len(deliveries), usd=Decimal("0.1") * len(deliveries)
    )
    assert {spend.total(ACCOUNT) for spend in workers.values()} == {expected}


def test_restarted_worker_finds_its_sums() -> None:
    """A worker under its new name hears its old sums as those of another, and adds to them."""
    before, after = Spend("a-1"), Spend("a-2")
    before.add(ACCOUNT, ONE)
    for key, value in before.take():
        after.merge(key, value)
    after.add(ACCOUNT, ONE)

    assert after.total(ACCOUNT) == ONE + ONE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", b"{}"),
        (b'["2030-01-02","all","b"]', None),
        (b'["2030-01-02","all","b"]', b'{"records": 1}'),
        (b'["2030-01-02","all","b"]', b'{"records": 1, "tokens": 1, "usd": "much"}'),
        (b'["2030-01-02","all","b"]', b'{"records": 1, "tokens": 1, "usd": "NaN"}'),
        (b'["2030-01-02","all"]', b'{"records": 1, "tokens": 1, "usd": "1"}'),
        (b'["2030-01-01","all","b"]', b'{"records": 1, "tokens": 1, "usd": "1"}'),
        (b'["2030-01-02","all","b"]', b'{"records": 1e300, "tokens": 1e999, "usd": "1"}'),
        (b'["2030-01-02","all","b"]', b'{"records": 1, "tokens": 1, "usd": "1e999999999"}'),
        (b'["2030-01-02",["all"],"b"]', b'{"records": 1, "tokens": 1, "usd": "1"}'),
        (b'["2030-01-02","all",{}]', b'{"records": 1, "tokens": 1, "usd": "1"}'),
        (b'[7,"all","b"]', b'{"records": 1, "tokens": 1, "usd": "1"}'),
    ],
)
def test_what_is_no_sum_of_now_is_passed_over(key: bytes, value: bytes | None) -> None:
    """Damaged records and those of past windows change nothing."""
    spend = Spend("a")
    spend.turn("2030-01-02")

    spend.merge(key, value)

    assert spend.total(ACCOUNT) == spend.total(("2030-01-01", "all")) == NOTHING


def test_past_windows_are_forgotten() -> None:
    """When a window turns, older ones of its length are forgotten; a month outlives its days."""
    spend, month = Spend("a"), ("2030-01", "all")
    for account in (ACCOUNT, month):
        spend.add(account, ONE)
        spend.merge(b'["%b","all","b"]' % account[0].encode(), spend.take()[0][1])

    spend.turn("2030-01-03")
    spend.turn("2030-01")

    assert spend.total(ACCOUNT) == NOTHING
    assert spend.total(month) == ONE + ONE


def test_what_may_not_have_arrived_is_told_again() -> None:
    """After a failure all own sums are told, those of before included."""
    spend = Spend("a")
    spend.add(ACCOUNT, ONE)
    spend.add(("2030-01", "all"), ONE)
    taken = spend.take()

    spend.untold()

    assert spend.take() == taken
    assert spend.take() == []
