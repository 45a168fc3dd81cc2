"""Times that people read are written in one way, wherever they stand."""

import re
from pathlib import Path

import streamapp

PACKAGE = Path(streamapp.__file__).parent
#: Where the one format is made.
MAKERS = {"records/timestamps.py", "web/pages/charts.js"}


def test_no_other_place_formats_times() -> None:
    """Commands use ``time_text`` and pages ``time``; JSON and headers are ISO 8601."""
    sources = [*PACKAGE.rglob("cli/*.py"), *PACKAGE.rglob("pages/*.js")]
    found = {
        str(file.relative_to(PACKAGE))
        for file in sources
        if re.search(r"strftime|\.isoformat|toLocale|toISO", file.read_text())
    }

    assert found - MAKERS == set()
