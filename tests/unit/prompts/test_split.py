"""Which label a key gets."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from streamapp.prompts.split import choose

KEYS = [f"customer-{number}".encode() for number in range(10_000)]
SHARES = {"production": 90, "candidate": 10}


def chosen(shares: dict[str, int], salt: str = "summarize") -> list[str]:
    return [choose(shares, key, salt=salt) for key in KEYS]


def test_shares_are_kept() -> None:
    """Over 10,000 keys a 90/10 split is 90/10 within 1.5 points."""
    counts = Counter(chosen(SHARES))

    assert abs(counts["production"] - 9_000) <= 150


@given(st.binary(), st.permutations(["a", "b", "c"]))
def test_a_key_always_gets_the_same_label(key: bytes, order: list[str]) -> None:
    """Neither time nor the order of the labels matters."""
    weights = {"a": 20, "b": 30, "c": 50}

    first = choose(weights, key, salt="p")

    assert choose({label: weights[label] for label in order}, key, salt="p") == first


def test_a_changed_share_moves_only_what_it_must() -> None:
    """Raising the candidate from 10 to 20 takes nobody away from it."""
    before, after = chosen(SHARES), chosen({"production": 80, "candidate": 20})

    moved = {pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]}

    assert moved == {("production", "candidate")}


def test_prompts_split_independently() -> None:
    """The keys of one prompt's candidate are not those of another's."""
    one, other = chosen(SHARES), chosen(SHARES, salt="translate")

    both = sum(a == b == "candidate" for a, b in zip(one, other, strict=True))

    assert both < 200  # 100 expected
