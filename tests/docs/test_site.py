"""The site builds, its links lead somewhere, and its references say what the code says."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from reference.__main__ import FOLDER
from reference.__main__ import PAGES as REFERENCES
from reference.settings import TABLES
from tests.docs.pages import DOCS, PAGES, ROOT, anchors, links

RUNBOOK = DOCS / "runbook"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize(("name", "made"), REFERENCES.items(), ids=REFERENCES)
def test_references_are_those_of_the_code(name: str, made: Callable[[], str]) -> None:
    """What is committed is what `make docs` writes now."""
    assert (FOLDER / name).read_text() == made(), f"docs/reference/{name} is old: run `make docs`"


@pytest.mark.parametrize("table", [name for name in TABLES if "." not in name])
def test_every_setting_of_a_table_has_a_row(table: str) -> None:
    """Also one that is named as a table is, such as the models of a key."""
    page = (FOLDER / "settings.md").read_text()
    rows = page.split(f"## `[{table}.NAME]`\n")[1].split("\n## ")[0]
    fields = TABLES[table].model_fields.items()
    own = {
        name for name, field in fields if not field.exclude and f"{table}.NAME.{name}" not in TABLES
    }

    assert {field.alias or name for name, field in fields if name in own} == set(
        re.findall(r"^\| `(\w+)`", rows, re.MULTILINE)
    )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files and headings that a page links to are there; other addresses are https."""
    for link in links(page):
        path, _, anchor = link.partition("#")
        if "://" in path:
            assert path.startswith("https://"), link
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{name_of(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{name_of(page)}: {link}"


@pytest.mark.timeout(60)
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """It is built strictly: a broken link, or a page that the navigation forgets, ends it."""
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )

    assert built.returncode == 0, built.stderr
    assert (tmp_path / "index.html").is_file()


def test_the_site_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    """No page of ours embeds a picture, script or font of another host."""
    foreign = re.compile(r"!\[[^\]]*\]\(https?:|<(?:script|img|link|iframe)\b")

    found = [name_of(page) for page in PAGES if foreign.search(page.read_text())]

    assert found == []


def test_every_alert_has_its_page() -> None:
    """Each rule names a page of the runbook whose title is the alert, and there are no others."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    pages = {rule["alert"]: rule["annotations"]["runbook"] for g in groups for rule in g["rules"]}
    titles = {name: (ROOT / page).read_text().splitlines()[0] for name, page in pages.items()}

    assert titles == {name: f"# {name}" for name in pages}
    assert {ROOT / page for page in pages.values()} == {*RUNBOOK.glob("*.md")} - {
        RUNBOOK / "index.md"
    }
    assert all(f"[{name}]" in (RUNBOOK / "index.md").read_text() for name in pages)


@pytest.mark.parametrize(
    "case",
    [
        "the worker dies",
        "the provider is down",
        "the answer is invalid",
        "the prompt is missing",
        "the budget is spent",
        "the same id comes twice",
    ],
)
def test_a_reader_finds_what_becomes_of_a_record(case: str) -> None:
    """Each case that a reader asks about is a heading of the page of guarantees."""
    assert f"### {case}\n" in (DOCS / "guarantees.md").read_text()
