"""A disk of a few megabytes in memory, for tests whose disk is full or read-only."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.absent import absent


@contextmanager
def small_disk(folder: Path, *, size: str = "2m") -> Iterator[None]:
    """Mount one at ``folder``; skips the test where that is not allowed."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        absent(f"nothing can be mounted: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
