"""The origin of an error without its text, which may hold values of a record."""

import traceback
from collections.abc import Iterator
from pathlib import PurePath

#: Frames kept of each error, the innermost ones.
KEPT = 12


def frames(error: BaseException | None) -> str:
    """Return the error, what caused it and what it groups: names, files and lines alone."""
    return "\n".join(_lines(error, set()))


def _lines(error: BaseException | None, seen: set[int]) -> Iterator[str]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield f"{type(error).__name__}:"
    for frame in traceback.extract_tb(error.__traceback__)[-KEPT:]:
        path = PurePath(frame.filename)
        yield f"  {path.parent.name}/{path.name}:{frame.lineno} in {frame.name}"
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _lines(part, seen)
    yield from _lines(error.__cause__ or error.__context__, seen)
