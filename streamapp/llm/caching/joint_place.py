"""The place, among records that are counted, of those that wait for one call."""

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from streamapp.llm.costs.place import Place

if TYPE_CHECKING:
    from streamapp.llm.completion import Call


class JointPlace(Place):
    """That of any record that has one; the first in line, which pays, is counted for all.

    Args:
        line: The calls of those who wait, as they come and go.
    """

    __slots__ = ("_line",)

    def __init__(self, line: Mapping[Any, "Call"]) -> None:
        self._line = line

    @property
    def is_counted(self) -> bool:
        """Whether the first in line is: another one may have joined it that was before."""
        return all(call.place.is_counted for call in islice(self._line.values(), 1))

    @property
    def beyond(self) -> frozenset[str] | None:
        """As of `Place`."""
        known = (call.place.beyond for call in self._line.values())
        return next((beyond for beyond in known if beyond is not None), None)

    @beyond.setter
    def beyond(self, beyond: frozenset[str] | None) -> None:
        # With whose place the call goes on, the first in line does, too: it stays with its model.
        known = self.beyond
        for call in islice(self._line.values(), 1):
            call.place.beyond = beyond if known is None else known
