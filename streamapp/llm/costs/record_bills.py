"""The bills of one record, summed up, whatever becomes of its calls."""

from contextvars import ContextVar
from decimal import Decimal

from streamapp.llm.costs.billing import Bill
from streamapp.llm.costs.prices import added_usd
from streamapp.records.response import NO_USAGE, Usage


class RecordBills:
    """What this worker was billed for one record.

    Attributes:
        cost_usd: US dollars; None where the price of one call is unknown.
    """

    __slots__ = ("cost_usd", "usage")

    def __init__(self) -> None:
        self.usage: Usage = NO_USAGE
        self.cost_usd: Decimal | None = Decimal(0)

    def add(self, bill: Bill) -> None:
        """Count a bill."""
        self.usage += bill.usage
        self.cost_usd = added_usd(self.cost_usd, bill.cost_usd)


#: Of the record that a task works on: the tasks that it starts share it.
RECORD_BILLS: ContextVar[RecordBills | None] = ContextVar("record_bills", default=None)


def pay(bill: Bill) -> None:
    """Count a bill for the record whose task pays it, if it is one's."""
    bills = RECORD_BILLS.get()
    if bills is not None:
        bills.add(bill)
