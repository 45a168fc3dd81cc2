"""What streamapp is built of: licences, hashes, a bill of materials."""

import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from reference.licences import PROJECT, READ, Package, installed, locked, needed

ROOT = Path(__file__).resolve().parents[2]
#: By which a licence is known.
WORDS = {
    "BSD-3-Clause": "Neither the name of the copyright holder",
    "MIT": "Permission is hereby granted, free of charge",
}


@cache
def locked_packages() -> list[dict[str, Any]]:
    """Return what the lock says of each; only the process that asks reads so long a file."""
    packages: list[dict[str, Any]] = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return packages


def test_every_dependency_has_a_licence_that_is_allowed() -> None:
    """Of all that the lock names and that is installed, for running, building and testing."""
    found = list(installed(locked()))
    direct = next(one for one in locked_packages() if one["name"] == PROJECT)["dependencies"]

    assert {one.name for one in found} >= {one["name"] for one in direct}
    assert [one for one in found if not one.is_allowed] == []


@pytest.mark.parametrize(
    ("licence", "is_allowed"),
    [
        ("MIT", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only", False),
        ("MIT AND AGPL-3.0-or-later", False),
        ("unknown", False),
    ],
)
def test_a_licence_is_allowed_by_its_parts(licence: str, is_allowed: bool) -> None:
    """All parts that are joined by AND, one of those joined by OR; what is not known is not."""
    assert Package("p", "1", licence).is_allowed is is_allowed


@pytest.mark.parametrize(("name", "licence"), READ.items(), ids=READ)
def test_a_licence_that_was_read_by_hand_is_still_there(name: str, licence: str) -> None:
    """The package still says nothing in its metadata, and its file holds the licence's words."""
    found = distribution(name)
    files = [path for path in found.files or () if path.name.startswith("LICENSE")]

    assert "License-Expression" not in found.metadata
    assert any(WORDS[licence] in Path(path.locate()).read_text() for path in files)


def test_every_locked_file_has_a_hash() -> None:
    """Each package comes from the index, and each of its files is pinned by SHA-256."""
    for package in locked_packages():
        name = package["name"]
        if name == PROJECT:
            continue
        files = [*package.get("wheels", ()), *filter(None, [package.get("sdist")])]
        assert "registry" in package["source"], name
        assert files, name
        assert [file for file in files if not file["hash"].startswith("sha256:")] == [], name


def test_the_bill_of_materials_names_what_a_worker_runs_on(tmp_path: Path) -> None:
    """`make sbom` writes CycloneDX with every package that is needed, and their hashes."""
    recipe = re.search(r"^sbom:.*\n\t(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    command = recipe[1].replace("$(BIN)", str(Path(sys.executable).parent))
    target = tmp_path / "sbom.cdx.json"

    subprocess.run(command.replace("sbom.cdx.json", str(target)).split(), cwd=ROOT, check=True)

    bill = json.loads(target.read_text())
    components = {one["name"]: one for one in bill["components"]}
    assert bill["bomFormat"] == "CycloneDX"
    assert components.keys() >= needed()
    assert "pytest" not in components
    for one in components.values():
        files = one["externalReferences"]
        assert all(hash["alg"] == "SHA-256" for file in files for hash in file["hashes"]), one
        assert one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}"
