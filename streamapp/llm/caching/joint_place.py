"""The place, among records that are counted, of those that wait for one call."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from streamapp.llm.costs.place import Place
from streamapp.llm.costs.spend import Account

if TYPE_CHECKING:
    from streamapp.llm.completion import Call


class JointPlace(Place):
    """That of any record that has one; else the first in line is counted for all.

    Args:
        line: The calls of those who wait, as they come and go.
    """

    __slots__ = ("_line",)

    def __init__(self, line: Mapping[Any, "Call"]) -> None:
        self._line = line

    @property
    def before(self) -> Mapping[Account, int] | None:
        """As of `Place`."""
        known = (call.place.before for call in self._line.values())
        return next((before for before in known if before is not None), None)

    @before.setter
    def before(self, before: Mapping[Account, int] | None) -> None:
        for call in self._line.values():
            call.place.before = before
            break
