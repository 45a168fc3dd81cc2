"""The table of faults on the page of guarantees: each row names a test that there is."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "guarantees.md"
_ROW = re.compile(
    r"^\| (.+?) \| `(tests/\S+?\.py)::(\w+)` \| `make (test|chaos)` \|$", re.MULTILINE
)


def _tests(path: Path) -> dict[str, str]:
    """Return the tests of a module, each with the command that runs it."""
    tree = ast.parse(path.read_text())
    marks = [node for node in tree.body if isinstance(node, ast.Assign)]
    of_module = "".join(
        ast.unparse(mark.value) for mark in marks if "pytestmark" in ast.unparse(mark)
    )
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test_"
        ):
            said = of_module + "".join(map(ast.unparse, node.decorator_list))
            found[node.name] = "chaos" if "pytest.mark.chaos" in said else "test"
    return found


def test_every_fault_has_a_test_that_runs_where_the_page_says() -> None:
    """A test that is renamed, moved or marked otherwise takes its row with it."""
    rows = _ROW.findall(PAGE.read_text())
    wrong = [
        f"{file}::{name} is not run by make {run}"
        for _, file, name, run in rows
        if not (ROOT / file).exists() or _tests(ROOT / file).get(name) != run
    ]

    assert len(rows) > 50
    assert wrong == []


def test_every_long_fault_test_is_on_the_page() -> None:
    """What takes minutes is run by hand: of the files that the page names, none is left out."""
    rows = {(file, name) for _, file, name, _ in _ROW.findall(PAGE.read_text())}
    chaos = {
        (file, name)
        for file in {file for file, _ in rows}
        for name, run in _tests(ROOT / file).items()
        if run == "chaos"
    }

    assert chaos - rows == set()


def test_no_row_is_left_out_by_a_slip_of_its_form() -> None:
    """Each line of the table is read."""
    _, table = PAGE.read_text().split("| fault | test | in |\n| --- | --- | --- |\n")
    lines = table.split("\n\n")[0].splitlines()

    assert len(_ROW.findall("\n".join(lines))) == len(lines)
