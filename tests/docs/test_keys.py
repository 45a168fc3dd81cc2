"""What the page of the HTTP interface says of keys is what they may do."""

import re

from streamapp.web.operations import OPERATIONS
from tests.docs.pages import DOCS

#: What stands in the page in place of a path.
WORDS = {"/v1/prompts/{name}/stats": "`stats` of prompts"}


def test_all_that_a_tenants_key_may_not_see_is_named() -> None:
    """Each path that shows the whole group, by its fixed part."""
    found = re.search(
        r"What shows the whole group \((.*?)\) is 403", (DOCS / "http.md").read_text()
    )
    assert found

    paths = [op.path for some in OPERATIONS.values() for op in some if op.access.is_of_group]
    names = {path: WORDS.get(path, f"`{path.partition('/{')[0]}`") for path in paths}

    assert [path for path, name in names.items() if name not in found[1]] == []
