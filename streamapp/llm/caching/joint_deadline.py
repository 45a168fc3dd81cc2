"""The deadline of a call that several records wait for."""

from collections.abc import Hashable

from streamapp.llm.deadline import ASKED, Deadline
from streamapp.llm.durable.in_progress import STEP


class JointDeadline(Deadline):
    """Passes when the last of its members has; starts and suspends all of them together."""

    __slots__ = (
        "_is_asked",
        "_is_started",
        "_lone",
        "_members",
        "_numbers",
        "_suspended",
        "_suspensions",
    )

    def __init__(self) -> None:
        # Neither limit nor clock of its own: its members have both.
        self._members: dict[Hashable, Deadline] = {}
        #: Of the step that each of them waits in.
        self._numbers: dict[Hashable, str] = {}
        #: The only member, as nearly always: it is looked at several times a call.
        self._lone: Deadline | None = None
        #: Whether each of them counted, while they do not.
        self._suspended: dict[Hashable, bool] = {}
        self._is_asked = self._is_started = False
        self._suspensions = self._standing = 0

    @property
    def is_waited_for(self) -> bool:
        """Whether callers alone wait: a record among the members is held."""
        return all(member.is_waited_for for member in self._members.values())

    def add(self, key: Hashable, member: Deadline) -> None:
        """Let a deadline take part, for the step of this task, until its key is removed."""
        self._members[key] = member
        self._numbers[key] = STEP.get()
        self._lone = member if len(self._members) == 1 else None
        if self._is_asked:
            member.ask()
        for _ in range(self._standing):
            member.stand()
        if self._suspensions:
            self._suspended[key] = member.suspend(self.doing)
        elif self._is_started:
            member.start()

    def remove(self, key: Hashable) -> None:
        """Let a member go on alone."""
        member = self._members.pop(key)
        del self._numbers[key]
        self._lone = next(iter(self._members.values())) if len(self._members) == 1 else None
        if self._suspended:
            member.resume(counted=self._suspended.pop(key))
        for _ in range(self._standing):
            member.go_on()

    def start(self) -> None:
        """Begin to count, in those members that do not yet."""
        self._is_started = True
        if self._lone is not None:
            self._lone.start()
            return
        for member in self._members.values():
            member.start()

    def ask(self) -> None:
        """Say it for every member's step, and for those that come."""
        self._is_asked = True
        for key, member in self._members.items():
            member.doing = ASKED
            member.steps.ask(self._numbers[key])

    def invest(self) -> None:
        """Say it of every member's step."""
        for key, member in self._members.items():
            member.steps.pay(self._numbers[key])

    def answered(self) -> None:
        """Say it to every member."""
        for member in self._members.values():
            member.answered()

    def failed(self, error: str) -> None:
        """Say it to every member."""
        for member in self._members.values():
            member.failed(error)

    def spent_s(self) -> float:
        """Return the active seconds of the member that has most left."""
        if self._lone is not None:
            return self._lone.spent_s()
        nearest = max(self._members.values(), key=Deadline.remaining_s, default=None)
        return nearest.spent_s() if nearest else 0.0

    def remaining_s(self) -> float:
        """Return the active seconds left to the last member; negative once past."""
        if self._lone is not None:
            return self._lone.remaining_s()
        return max((member.remaining_s() for member in self._members.values()), default=0.0)

    def restart(self) -> None:
        """Forget the seconds spent, in every member."""
        for member in self._members.values():
            member.restart()

    def suspend(self, doing: str) -> bool:
        """Stop counting, in every member."""
        self._suspensions += 1
        self.doing = doing
        if self._suspensions == 1:
            self._suspended = {key: one.suspend(doing) for key, one in self._members.items()}
        return self._is_started

    def resume(self, *, counted: bool) -> None:
        """Count again behind the last of the suspensions, in every member that did itself."""
        self._suspensions -= 1
        if not self._suspensions:
            for key, member_counted in self._suspended.items():
                self._members[key].resume(counted=member_counted)
            self._suspended.clear()
            if self._is_started:
                self.start()

    def stand(self) -> None:
        """Let no time pass, for any member."""
        self._standing += 1
        for member in self._members.values():
            member.stand()

    def go_on(self) -> None:
        """Let time pass again, for every member."""
        self._standing -= 1
        for member in self._members.values():
            member.go_on()
