"""The page of HTTP against the code: every code of an error stands in its table."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamapp import web
from streamapp.kinds import Kind
from streamapp.web.errors import STATUS

ROOT = Path(web.__file__).parent
PAGE = Path(__file__).parents[3] / "docs" / "http.md"
#: What aiohttp itself refuses has its reason as code.
LIBRARY = {"not_found": 404, "method_not_allowed": 405, "expectation_failed": 417}


def told() -> dict[int, set[str]]:
    """Return the codes of the table by status."""
    table = PAGE.read_text().partition("\n## Errors\n")[2]
    rows = re.findall(r"^\| (\d{3}) \| (.*) \|$", table, re.MULTILINE)
    return {int(status): set(re.findall(r"`(\w+)`", text)) for status, text in rows}


def written() -> Iterator[tuple[int | None, str]]:
    """Yield each code that is written out in a call, with its status where that is, too."""
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call):
                continue
            for keyword in node.keywords:
                match node.args[:1], keyword:
                    case [
                        [ast.Constant(int(status))],
                        ast.keyword("code", ast.Constant(str(code))),
                    ]:
                        yield status, code
                    case [_, ast.keyword("code", ast.Constant(str(code)))]:
                        yield None, code


CODES = sorted(set(written()), key=str)


@pytest.mark.parametrize(("status", "code"), CODES)
def test_code_of_a_refusal_is_in_the_table(status: int | None, code: str) -> None:
    """In the row of its status, or in any where the call does not say it."""
    rows = told()

    assert code in (rows.get(status, set()) if status else set().union(*rows.values()))


@pytest.mark.parametrize("kind", STATUS)
def test_kind_of_a_failure_is_in_the_table(kind: Kind) -> None:
    """In the row of its status."""
    assert kind.value in told().get(STATUS[kind], set())


@pytest.mark.parametrize(("code", "status"), LIBRARY.items())
def test_code_of_the_library_is_in_the_table(code: str, status: int) -> None:
    """In the row of its status."""
    assert code in told()[status]


def test_codes_are_found() -> None:
    """A code that the look at the calls would miss would pass unseen."""
    assert {(404, "not_cached"), (415, "unsupported_media_type"), (None, "busy")} <= set(CODES)
