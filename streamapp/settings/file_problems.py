"""The words for files named by settings that cannot be used."""

import ssl
from collections.abc import Sequence
from pathlib import Path


def file_problem(paths: Sequence[Path | None], error: Exception) -> str:
    """Return what is wrong with files, with their names.

    Args:
        paths: Those that were read; the error need not say which one it is of.
        error: What reading them raised.
    """
    named = [path for path in paths if path is not None]
    for path in named:
        if _is_missing(path):
            return f"there is no file {str(path)!r}"
    of = ", ".join(repr(str(path)) for path in named)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"cannot read {of}: {error.strerror.lower()}"
    if isinstance(error, ssl.SSLError) and "PEM lib" in str(error):  # which says no more
        return f"cannot use {of}: no PEM, or a key with a password, which nobody is asked for"
    return f"cannot use {of}: {error}"


def folder_problem(folder: Path, error: OSError) -> str:
    """Return what is wrong with a folder, or with one above it, that cannot be made or filled."""
    is_file = isinstance(error, (FileExistsError, NotADirectoryError))
    return f"cannot use {str(folder)!r}: {'it is no folder' if is_file else error.strerror}"


def _is_missing(path: Path) -> bool:
    """Whether nothing stands there; not where nobody can tell, as in a folder that is not ours."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # which `Path.exists` raises as well
        return False
    return False
