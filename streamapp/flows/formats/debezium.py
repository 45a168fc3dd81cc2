"""Change events of Debezium: the row after the change, out of its envelope.

Source: Debezium, "Change event values". With the schema beside it the envelope is ``payload``.
"""

from collections.abc import Mapping
from typing import Any

from streamapp.errors import InvalidRecord
from streamapp.flows.merge import members_of


def unwrapped(value: Any) -> Any:
    """Return the row after the change; None for a delete, a truncation or a message.

    Raises:
        InvalidRecord: It is no change event.
    """
    if isinstance(value, Mapping) and "op" not in value and "payload" in value:
        value = value["payload"]
        if value is None:
            return None
    if not isinstance(value, Mapping) or "op" not in value:
        raise InvalidRecord("the value is no change event of Debezium: it has no field 'op'")
    return value.get("after") if value["op"] in ("c", "u", "r") else None


def unwrapped_text(text: bytes) -> bytes:
    """Return the row of a change event in JSON as it was written; `unwrapped` gave one."""
    members = members_of(text.decode("utf-8-sig"))
    if "op" not in members:
        members = members_of(members["payload"])
    return members["after"].encode()
