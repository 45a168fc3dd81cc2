"""The place of a record among those that budgets have counted."""

from collections.abc import Mapping

from streamapp.llm.costs.spend import Account


class Place:
    """What the calls of one record share: it is counted once, with the first that begins.

    Attributes:
        before: How many records were counted before it, by account; None until it is counted.
    """

    __slots__ = ("before",)

    def __init__(self) -> None:
        self.before: Mapping[Account, int] | None = None

    def records(self, account: Account, counted: int) -> int:
        """Return how many of the ``counted`` records go before it; none in a later window."""
        return counted if self.before is None else self.before.get(account, 0)

    def paid(self) -> None:
        """Note that a call was paid for: where none is counted, that was before a redelivery."""
        if self.before is None:
            self.before = {}
