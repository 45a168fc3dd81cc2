"""The page about vendors says what the tests show."""

from streamapp.llm.providers.refusals.reading import SIGNS
from tests.unit.llm.providers.vendors.page import PAGE, rendered


def test_page_shows_every_shape_and_sign() -> None:
    """A shape that is tested, or a sign that is known, stands in docs/providers.md; none other."""
    page = PAGE.read_text()

    assert rendered(page) == page, "run python -m tests.unit.llm.providers.vendors.page"


def test_signs_have_sources() -> None:
    """Each sign says where and when it was seen, and is by a code or by words in lower case."""
    for sign in SIGNS:
        assert sign.source.startswith("https://")
        assert sign.seen[:2] == "20"
        assert sign.code or sign.phrase
        words = sign.code + sign.phrase
        assert words == words.lower()
