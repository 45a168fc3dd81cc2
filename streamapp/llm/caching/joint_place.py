"""The place, among records that are counted, of those that wait for one call."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from streamapp.llm.costs.place import Place

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
    def beyond(self) -> frozenset[str] | None:
        """As of `Place`."""
        known = (call.place.beyond for call in self._line.values())
        return next((beyond for beyond in known if beyond is not None), None)

    @beyond.setter
    def beyond(self, beyond: frozenset[str] | None) -> None:
        for call in self._line.values():
            call.place.beyond = beyond
            break
