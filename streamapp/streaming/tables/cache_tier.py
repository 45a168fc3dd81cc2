"""The ledger's table as a tier of the cache: it survives restarts and moves with its partitions."""

from collections.abc import Callable


class TableTier:
    """Answers of this worker's partitions, in the table that remembers them anyway.

    Nothing is written here: a record's ledger entry carries its call's fingerprint beside the
    answer, so that both cost one changelog record. Answers to HTTP, and those that a processor
    changed, are in the other tiers alone.

    Args:
        answer_to: Returns a response record by a fingerprint; see ``Ledger.answer_to``.
    """

    name = "table"

    def __init__(self, answer_to: Callable[[str], bytes | None]) -> None:
        self._answer_to = answer_to

    async def get(self, fingerprint: str) -> bytes | None:
        """Return the response record of an equal call, however old."""
        return self._answer_to(fingerprint)

    async def set(self, fingerprint: str, value: bytes, *, ttl_s: float) -> None:
        """Leave it to the record's ledger entry."""

    async def aclose(self) -> None:
        """Leave the table to Faust."""
