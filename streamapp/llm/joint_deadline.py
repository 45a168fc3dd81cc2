"""The deadline of a call that several records wait for."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from streamapp.llm.deadline import Deadline


class JointDeadline(Deadline):
    """Passes when the last of its members has; starts and suspends all of them together."""

    __slots__ = ("_is_started", "_members", "_suspensions")

    def __init__(self) -> None:
        # Neither limit nor clock of its own: its members have both.
        self._members: dict[ExitStack, Deadline] = {}
        self._is_started = False
        self._suspensions = 0

    def add(self, member: Deadline) -> ExitStack:
        """Let a deadline take part; it does until the returned stack is given to `remove`."""
        stack = ExitStack()
        self._members[stack] = member
        if self._suspensions:
            stack.enter_context(member.suspended())
        elif self._is_started:
            member.start()
        return stack

    def remove(self, stack: ExitStack) -> None:
        """Let a member go on alone."""
        del self._members[stack]
        stack.close()

    def start(self) -> None:
        """Begin to count, in those members that do not yet."""
        self._is_started = True
        for member in self._members.values():
            member.start()

    def spent_s(self) -> float:
        """Return the active seconds of the member that has most left."""
        nearest = max(self._members.values(), key=Deadline.remaining_s, default=None)
        return nearest.spent_s() if nearest else 0.0

    def remaining_s(self) -> float:
        """Return the active seconds left to the last member; negative once past."""
        return max((member.remaining_s() for member in self._members.values()), default=0.0)

    def restart(self) -> None:
        """Forget the seconds spent, in every member."""
        for member in self._members.values():
            member.restart()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Stop counting inside the block, in every member."""
        self._suspensions += 1
        if self._suspensions == 1:
            for stack, member in self._members.items():
                stack.enter_context(member.suspended())
        try:
            yield
        finally:
            self._suspensions -= 1
            if not self._suspensions:
                for stack, member in self._members.items():
                    stack.close()
                    if self._is_started:
                        member.start()
