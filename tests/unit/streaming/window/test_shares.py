import pytest

from streamapp.streaming.window.shares import InputBounds, SlotShares


@pytest.mark.parametrize(
    ("bounds", "slots"),
    [
        ({}, 256),
        ({"a": InputBounds()}, 256),
        ({"a": InputBounds(), "b": InputBounds()}, 192),
        ({"a": InputBounds(weight=3), "b": InputBounds()}, 224),
        ({"a": InputBounds(), "b": InputBounds(weight=3)}, 160),
        ({"a": InputBounds(max_in_flight=8), "b": InputBounds()}, 8),
    ],
    ids=["no inputs", "alone", "two", "heavy", "light", "bounded"],
)
def test_half_of_each_others_part_is_kept_free(bounds: dict[str, InputBounds], slots: int) -> None:
    """An input uses all slots but half of what is the others' by weight."""
    assert SlotShares(256, bounds).slots_of("a") == slots


def test_more_inputs_than_slots_have_one_each() -> None:
    """No input is left without a slot."""
    shares = SlotShares(2, {str(n): InputBounds() for n in range(10)})

    assert all(shares.slots_of(str(n)) >= 1 for n in range(10))


def test_what_may_wait_grows_with_what_may_run() -> None:
    """An input's own bound counts for waiting records in proportion."""
    shares = SlotShares(16, {"a": InputBounds(max_in_flight=2), "b": InputBounds()})

    assert shares.scaled(128).slots_of("a") == 16
