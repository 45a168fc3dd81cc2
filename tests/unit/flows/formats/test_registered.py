"""What a topic remembers of its schemas is bounded."""

from typing import Any

from streamapp.flows.formats.registered import RegisteredDecoder
from streamapp.flows.formats.registry import Schema


class FakeStore:
    """A store that has every schema."""

    def get(self, id: int) -> Schema:
        """Return one."""
        return Schema("JSON", str(id))


def test_schemas_are_prepared_once_and_not_kept_for_ever() -> None:
    """A topic with a new schema for each record fills no memory."""
    prepared: list[str] = []

    def prepare(schema: Schema, name: str) -> str:
        prepared.append(name)
        return schema.text

    store: Any = FakeStore()
    decoder = RegisteredDecoder(store, prepare)

    assert [decoder.prepared(7) for _ in range(2)] == ["7", "7"]
    assert prepared == ["schema 7"]
    for id in range(8, 8 + 1_000):
        decoder.prepared(id)
    assert decoder.prepared(7) == "7"
    assert prepared.count("schema 7") == 2
