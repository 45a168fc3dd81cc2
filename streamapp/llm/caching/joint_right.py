"""The right to make a call that several records wait for."""

from collections.abc import Hashable

from streamapp.llm.attempt import Right


class JointRight:
    """Lasts as long as that of any member.

    A member without one, as a caller over HTTP, is answered by this worker or by nobody.
    """

    __slots__ = ("_members",)

    def __init__(self) -> None:
        self._members: dict[Hashable, Right | None] = {}

    def add(self, key: Hashable, member: Right | None) -> None:
        """Let a right take part, until its key is removed."""
        self._members[key] = member

    def remove(self, key: Hashable) -> None:
        """Let a member go on alone."""
        del self._members[key]

    @property
    def is_valid(self) -> bool:
        """Whether an attempt may begin now, for any of them."""
        # Asked twice a call, of nearly always one member: a generator costs three times as much.
        for right in self._members.values():  # noqa: SIM110
            if right is None or right.is_valid:
                return True
        return False

    @property
    def is_ended(self) -> bool:
        """Whether nobody is left for whom an attempt may begin."""
        return all(right is not None and right.is_ended for right in self._members.values())
