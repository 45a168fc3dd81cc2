"""What Maven fetches for tests: the files of a pom, once, whole or not at all."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support.machine import ENVIRONMENT


class MavenUnavailable(Exception):
    """Java, Maven or what it should fetch is missing; the message says which."""


def fetched(
    home: Path,
    pom: Path,
    *options: str,
    what: str,
    unpack: Callable[[Path], None] = lambda fresh: None,
) -> Path:
    """Return the directory of a pom's files, fetched where it is missing or older than the pom.

    Args:
        home: The directory.
        pom: What is wanted.
        options: Of Maven's ``copy-dependencies``.
        what: Its name in messages.
        unpack: Called with the fetched directory before it takes its place.

    Raises:
        MavenUnavailable: Java or Maven is missing, or Maven could not fetch it.
    """
    if shutil.which("java") is None:
        raise MavenUnavailable(f"{what} needs Java 17 or newer: no `java` on the path")
    home.parent.mkdir(exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:  # two test runs may start at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.is_dir() or home.stat().st_mtime < pom.stat().st_mtime:
            _fetch(home, pom, options, what, unpack)
    return home


def _fetch(
    home: Path, pom: Path, options: tuple[str, ...], what: str, unpack: Callable[[Path], None]
) -> None:
    if shutil.which("mvn") is None:
        raise MavenUnavailable(f"{what} comes by Maven: no `mvn` on the path")
    fresh = home.with_name(f"{home.name}.fetching")
    shutil.rmtree(fresh, ignore_errors=True)
    goal = ["dependency:copy-dependencies", *options, f"-DoutputDirectory={fresh}"]
    run = subprocess.run(
        ["mvn", "-q", "-f", str(pom), *goal],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise MavenUnavailable(f"Maven could not fetch {what}:\n{run.stdout}")
    unpack(fresh)
    shutil.rmtree(home, ignore_errors=True)
    fresh.rename(home)
    os.utime(home)
