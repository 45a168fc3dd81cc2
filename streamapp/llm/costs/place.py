"""The place of a record among those that budgets have counted."""


class Place:
    """What the calls of one record share: it is counted once, with the first that begins.

    Attributes:
        beyond: The budgets whose limit of records was reached before it, by name; None until it
            is counted. Stored with its steps, so that a redelivered record has it from the start.
    """

    __slots__ = ("beyond",)

    def __init__(self, beyond: frozenset[str] | None = None) -> None:
        self.beyond = beyond

    @property
    def is_counted(self) -> bool:
        """Whether the record that pays for the next call is counted."""
        return self.beyond is not None

    def paid(self) -> None:
        """Note that a call was paid for: the record goes on, whoever was counted for it."""
        if self.beyond is None:
            self.beyond = frozenset()
