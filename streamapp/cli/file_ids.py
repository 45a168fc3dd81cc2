"""The ids of a file's records: which of them come again with other content."""

from streamapp.cli.lines import Line
from streamapp.errors import InvalidRecord
from streamapp.streaming.delivery.ledger_entry import digest


class FileIds:
    """Remembers each id with its first line, and a digest in place of the record.

    Keys are not looked at: records of two keys may share a partition, and its ledger.
    """

    def __init__(self) -> None:
        self._first: dict[str, tuple[int, str]] = {}

    def check(self, id: str | None, line: Line) -> None:
        """Look at what an earlier line has for the id of a record, where it has one of its own.

        Raises:
            InvalidRecord: That line's content is another one.
        """
        known = self._first.get(id) if id else None
        if known is not None and known[1] != digest(line.value):
            raise InvalidRecord(f"id: line {known[0]} has it with other content; use a new id")

    def keep(self, id: str | None, line: Line) -> None:
        """Note a record that can be answered: behind a dead letter its id may come again."""
        if id and id not in self._first:
            self._first[id] = line.number, digest(line.value)
