"""The outcome that the ledger has for a record that is taken."""

from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import LedgerEntry
from streamapp.streaming.window.taken_record import Message


def known_outcome(
    ledger: Ledger, message: Message, *, id: str, is_own_id: bool, digest: str, input: str | None
) -> LedgerEntry | None:
    """Return the record's own outcome, or else the answer to its id.

    A dead letter is its record's alone, which it comes with again: at its place and with its
    content. A later record of the id is run, and what comes of that is not the dead one's.

    Args:
        ledger: Of the flow.
        message: The record.
        id: Its id.
        is_own_id: Whether it names one; else its place is the id, and the content must be the
            same: the topic may hold another record there than it did.
        digest: Of its value.
        input: Of the flow, as `input_hash`.

    Returns:
        None where it is to be run. An answer may be to another content.
    """
    place = message.tp.partition, message.offset
    known = ledger.lookup(id)
    if known is not None and (
        known.step is not None  # of a record whose id is the first part of this one
        or not known.is_from(input)  # of a flow that had this one's name
        or (not is_own_id and known.digest != digest)
    ):
        known = None
    if known is not None and known.is_of(*place) and known.digest == digest:
        return known
    own = ledger.outcome_at(id, *place)
    if own is not None and own.digest == digest and own.is_from(input):
        return own
    return None if known is None or known.answer is None else known
