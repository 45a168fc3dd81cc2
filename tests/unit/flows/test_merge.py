import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.flows.merge import members_of, merge

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=6)


@given(OBJECTS, OBJECTS, st.sampled_from([None, 2]), st.booleans())
def test_a_merge_is_the_union_of_both(
    source: dict[str, Any], members: dict[str, Any], indent: int | None, ascii: bool
) -> None:
    """Whatever the source's spelling, the merge reads as source and members together, in order."""
    text = json.dumps(source, indent=indent, ensure_ascii=ascii).encode()

    merged = merge(text, {name: json.dumps(value).encode() for name, value in members.items()})

    expected = source | members
    assert json.loads(merged) == expected
    assert list(json.loads(merged)) == list(expected)


@given(OBJECTS, VALUES)
def test_what_is_not_replaced_stands_as_it_was_written(source: dict[str, Any], value: Any) -> None:
    """Each other member keeps its very characters."""
    text = json.dumps(source, indent=1)
    before = {name: raw for name, raw in members_of(text).items() if name != "label"}

    merged = merge(text.encode(), {"label": json.dumps(value).encode()})

    after = members_of(merged.decode())
    assert after.pop("label") == json.dumps(value)
    assert after == before


@pytest.mark.parametrize(
    "number", ["0.1000000000000000055511151231257827", "1E+2", "1.10", "9" * 5_000, "-0"]
)
def test_numbers_keep_their_digits(number: str) -> None:
    """A number is not read and written anew: it has the digits and the form that it had."""
    merged = merge(b'{"price": %b, "a": {"b": %b}}' % ((number.encode(),) * 2), {"label": b'"x"'})

    assert merged == b'{"price":%b,"a":{"b": %b},"label":"x"}' % ((number.encode(),) * 2)


@pytest.mark.parametrize("value", [b"[1]", b'"a"', b"3", b"null", b""])
def test_nothing_is_merged_into_what_is_no_object(value: bytes) -> None:
    """A list, a text or nothing takes no members."""
    with pytest.raises(ValueError, match="no object"):
        merge(value, {"label": b"1"})
