"""The spending of all workers by window and scope: sums that survive, and never count twice.

Each worker tells the others its own sums since its start, never differences. A sum only grows,
so of two values for one key the larger one holds: told twice, late or out of order makes no
difference. The transport is a topic of one partition behind a global table:

* key: ``[window, scope, worker]`` as JSON; value: ``{"records", "tokens", "usd"}``;
* every half second what `take` returns is produced, and told again where that failed; every
  record read, own ones and those of a recovery included, is given to `merge`;
* ``worker`` is new with each start, so that a restarted worker finds its earlier sums as those
  of another one;
* ``cleanup.policy=compact,delete`` with a retention above the longest window: 40 days.
"""

from dataclasses import dataclass
from decimal import Decimal

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """What was spent; none of them ever shrinks within a window."""

    records: int = 0
    tokens: int = 0
    usd: Decimal = Decimal(0)

    def __add__(self, other: "Amounts") -> "Amounts":
        """Return the sum of each."""
        return Amounts(
            records=self.records + other.records,
            tokens=self.tokens + other.tokens,
            usd=self.usd + other.usd,
        )

    def __sub__(self, other: "Amounts") -> "Amounts":
        """Return the difference of each."""
        return Amounts(
            records=self.records - other.records,
            tokens=self.tokens - other.tokens,
            usd=self.usd - other.usd,
        )

    def __or__(self, other: "Amounts") -> "Amounts":
        """Return the larger one of each."""
        return Amounts(
            records=max(self.records, other.records),
            tokens=max(self.tokens, other.tokens),
            usd=max(self.usd, other.usd),
        )


NOTHING = Amounts()

#: A window, such as ``2030-01-31`` or ``2030-01``, and a scope within it.
Account = tuple[str, str]


class Spend:
    """The sums of this worker and what it heard of the others.

    Args:
        worker: Unlike that of any other worker, and of this one before it was restarted.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._own: dict[Account, Amounts] = {}
        self._others: dict[Account, dict[str, Amounts]] = {}
        self._others_total: dict[Account, Amounts] = {}
        self._changed: dict[Account, None] = {}
        self._oldest: dict[int, str] = {}

    def total(self, account: Account) -> Amounts:
        """Return what all workers have spent there, as far as it is known here."""
        own, others = self._own.get(account), self._others_total.get(account)
        if own is None or others is None:
            return own or others or NOTHING
        return own + others

    def accounts(self) -> set[Account]:
        """Return where anybody has spent."""
        return {*self._own, *self._others_total}

    def add(self, account: Account, amounts: Amounts) -> None:
        """Add what this worker has spent."""
        self._own[account] = self._own.get(account, NOTHING) + amounts
        self._changed[account] = None

    def take(self) -> list[tuple[bytes, bytes]]:
        """Return key and value of each own sum that changed since the last time."""
        changed, self._changed = self._changed, {}
        return [
            (
                orjson.dumps([*account, self._worker]),
                orjson.dumps(
                    {"records": own.records, "tokens": own.tokens, "usd": format(own.usd, "f")}
                ),
            )
            for account in changed
            if (own := self._own.get(account)) is not None
        ]

    def untold(self) -> None:
        """Have every own sum told again: what was taken last may not have arrived."""
        self._changed = dict.fromkeys(self._own)

    def merge(self, key: bytes | None, value: bytes | None) -> None:
        """Hear of a sum; what cannot be read, or is of a past window, is passed over."""
        try:
            window, scope, worker = orjson.loads(key or b"")
            fields = orjson.loads(value or b"")
            heard = Amounts(
                records=int(fields["records"]),
                tokens=int(fields["tokens"]),
                usd=Decimal(fields["usd"]),
            )
            is_past = window < self._oldest.get(len(window), "")
            before = self._others.get((window, scope), {}).get(worker, NOTHING)
            largest = heard | before
            total = self._others_total.get((window, scope), NOTHING) + largest - before
        except (ValueError, LookupError, TypeError, ArithmeticError):
            return
        if is_past or worker == self._worker or not heard.usd.is_finite():
            return
        self._others.setdefault((window, scope), {})[worker] = largest
        self._others_total[window, scope] = total

    def turn(self, window: str) -> None:
        """Forget the windows of the same length before ``window``."""
        self._oldest[len(window)] = window
        for sums in (self._own, self._others, self._others_total):
            for account in [a for a in sums if len(a[0]) == len(window) and a[0] < window]:
                del sums[account]
