"""The check that a worker can write into its folders, before it takes its first record."""

import errno
import os
from pathlib import Path


def require_writable(*folders: Path) -> None:
    """Refuse folders that take no files, as one that is mounted read-only.

    A disk that is full is not refused: tables go on in memory then.

    Raises:
        OSError: One of them is so; it says what to change.
    """
    for folder in folders:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, "not writable; make it so for this user, or set another")
