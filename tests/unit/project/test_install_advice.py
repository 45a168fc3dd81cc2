"""What pages and messages say of installing."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
READ = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "streamapp").rglob("*.py")),
]
#: The name without the path of a clone: `install streamapp`, `streamapp[otel]`.
FROM_AN_INDEX = re.compile(r"""install\s+(-\S+\s+)*['"`]*streamapp\b|\bstreamapp\[\w""")


def test_nobody_is_sent_to_a_package_index() -> None:
    """The program of this name that an index has is not ours: extras come from a clone."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in READ
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if FROM_AN_INDEX.search(line)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("pip install 'streamapp[otel]'", True),
        ("install streamapp[redis]", True),
        ("pip install -U streamapp", True),
        ("pip install '.[otel]'", False),
        ("the extra `redis` of streamapp", False),
    ],
)
def test_advice_is_recognised(line: str, is_found: bool) -> None:
    """In each of the forms that it used to have."""
    assert bool(FROM_AN_INDEX.search(line)) == is_found
