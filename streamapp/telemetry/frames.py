"""The frames that an error went through: its origin without its text, and what they hold.

An error holds the frames of all that it went through, and a frame often holds the error: nothing
of both is freed before Python's collector looks for it, which it does seldom. Each frame holds the
record as well, or its calls.
"""

import os
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import PurePath

from streamapp.errors import Failure, InternalError

#: Frames kept of each error, the innermost ones.
KEPT = 12
#: Of Python, of what is installed, and of this package.
_OTHERS = (*sysconfig.get_paths().values(), str(PurePath(__file__).parents[1]))


def told_by_place(error: BaseException) -> str:
    """Return an error in one line, behind the innermost place that it left code of users at."""
    told = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    here = PurePath(os.getcwd())
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = PurePath(frame.filename)
        if path.is_absolute() and not any(map(path.is_relative_to, _OTHERS)):
            near = path.relative_to(here) if path.is_relative_to(here) else path
            return f"{near}:{frame.lineno}: {told}"
    return told


def frames(error: BaseException | None) -> str:
    """Return the error, what caused it and what it groups: names, files and lines alone."""
    return "\n".join(_lines(error, set()))


def origin_of(failure: Failure) -> dict[str, str]:
    """Return where a bug is, for its line in the log; a traceback would end in the error's text."""
    cause = failure.__cause__
    return {"origin": frames(cause)} if isinstance(failure, InternalError) and cause else {}


def without_frames(error: BaseException) -> None:
    """Let go of the frames of an error that was handled, and of those that led to it."""
    left, seen = [error], set()
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = None
        left += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions


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
