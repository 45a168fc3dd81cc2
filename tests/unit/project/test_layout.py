"""The sizes of modules and folders stay as CONTRIBUTING.md says."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[3] / "streamapp"
MOST_LINES = 300
MOST_MODULES = 14
CROWDED = ("streaming", "llm")


def lines_of(module: Path) -> int:
    return len(module.read_text().splitlines())


def test_no_module_has_more_than_300_lines() -> None:
    """A module is one concept, which fits in 300 lines."""
    sizes = {str(m.relative_to(PACKAGE)): lines_of(m) for m in PACKAGE.rglob("*.py")}

    assert len(sizes) > 100, "no package found"
    assert {name: size for name, size in sizes.items() if size > MOST_LINES} == {}


@pytest.mark.parametrize("package", CROWDED)
def test_no_folder_has_more_than_14_modules(package: str) -> None:
    """A folder shows its modules at one look; `__init__.py` is its name, not one of them."""
    modules: dict[str, int] = {}
    for module in (PACKAGE / package).rglob("*.py"):
        if module.name != "__init__.py":
            folder = str(module.parent.relative_to(PACKAGE))
            modules[folder] = modules.get(folder, 0) + 1

    assert len(modules) > 3, "no folders found"
    assert {name: count for name, count in modules.items() if count > MOST_MODULES} == {}


def test_no_name_of_a_class_stands_for_two_things() -> None:
    """Who reads a class's name, in a log or in a message, knows which one it is."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(module.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(module.relative_to(PACKAGE)))

    assert len(places) > 300, "no classes found"
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_contributing_names_the_same_numbers() -> None:
    """Who reads the rules and who runs the tests are told the same."""
    rules = (PACKAGE.parent / "CONTRIBUTING.md").read_text()

    assert f"never above {MOST_LINES}" in rules
    assert f"above {MOST_MODULES} modules" in rules


def test_no_service_waits_in_a_way_that_makes_tasks() -> None:
    """The library's `sleep` makes a task for each wait: a worker at rest did little else.

    What stops a service cancels an `asyncio.sleep` of its tasks as well.
    """
    modules = list(PACKAGE.rglob("*.py"))

    assert [str(m.relative_to(PACKAGE)) for m in modules if "self.sleep(" in m.read_text()] == []
