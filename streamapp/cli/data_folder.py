"""The folder of a worker, held for as long as its process lives: no second one writes into it."""

import fcntl
import os
from pathlib import Path

import structlog

from streamapp.errors import ConfigurationError
from streamapp.settings import PREFIX

#: The file in the folder that is locked; it stays, and says nothing once its process is gone.
NAME = "worker.lock"

log = structlog.get_logger(__name__)


def hold_folder(folder: Path, *, is_stored: bool) -> int | None:
    """Lock the folder until the process ends, however it ends.

    A folder that cannot be written is not judged here.

    Args:
        folder: ``STREAMAPP_DATA_DIR``; made where it is missing.
        is_stored: Whether tables are kept there, which two workers would damage. Without them a
            second worker is only told: both forget which records blocked them.

    Returns:
        The open file; None where another worker has it, or nobody can.

    Raises:
        ConfigurationError: Another worker has a folder with tables.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        mend = f"set {PREFIX}DATA_DIR to one for each"
        problem = f"another worker uses the folder {str(folder)!r}"
        if is_stored:
            raise ConfigurationError(f"{PREFIX}DATA_DIR: {problem}: {mend}, or end it") from None
        hint = f"{PREFIX}DATA_DIR: {problem}, which is for one alone: {mend}"
        log.warning("worker.folder_shared", hint=hint)
        return None
    except OSError:  # a file system without locks
        os.close(file)
        return None
    return file
