"""The fields that a template asks for and a record lacks, or holds unreadable."""

from collections.abc import Iterator
from typing import Any

from jinja2 import StrictUndefined, UndefinedError


class AbsentError(UndefinedError):
    """A template used what a record does not have."""

    def __init__(self, absent: "Absent", message: str | None) -> None:
        super().__init__(message)
        self.absent = absent


class Absent(StrictUndefined):
    """What a record does not have: a field ``name`` of ``obj``; fails when a template uses it."""

    __slots__ = ("name", "obj")

    def __init__(
        self, hint: str | None = None, obj: Any = None, name: Any = None, **_: object
    ) -> None:
        super().__init__(hint, obj, name, exc=self._error)  # type: ignore[arg-type]  # is called
        self.obj, self.name = obj, name

    @property
    def chain(self) -> Iterator["Absent"]:
        """This one, and what it was looked up in, as far as that is missing as well."""
        yield self
        if isinstance(self.obj, Absent):
            yield from self.obj.chain

    def _error(self, message: str | None) -> AbsentError:
        return AbsentError(self, message)


class Unreadable(Absent):
    """What fails for the reason ``problem``."""

    __slots__ = ("problem",)

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
