"""The outcome that the ledger has for a record that is taken."""

from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.ledger_entry import LedgerEntry
from streamapp.streaming.window.taken_record import Message


def known_outcome(
    ledger: Ledger, message: Message, *, id: str, is_own_id: bool, digest: str, input: str | None
) -> LedgerEntry | None:
    """Return the record's own outcome, or else the answer to its id, its partition's first.

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
    partition, offset = message.tp.partition, message.offset
    known = ledger.lookup(id)
    for own in (known, ledger.outcome_at(id, partition, offset)):
        if (
            own is not None
            and own.is_of(partition, offset)
            and own.digest == digest
            and own.step is None  # else of a record whose id is the first part of this one
            and own.is_from(input)  # else of a flow that had this one's name
        ):
            return own
    for answer in (ledger.answer_in(id, partition), known):
        if (
            answer is not None
            and answer.answer is not None
            and answer.is_from(input)
            and (is_own_id or answer.digest == digest)
        ):
            return answer
    return None
