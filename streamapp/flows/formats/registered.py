"""The part that formats with a schema registry share: schemas by id in, one schema out."""

from collections.abc import Callable, Iterator
from typing import Any

from streamapp.errors import Undecodable
from streamapp.flows.formats.frame import schema_id
from streamapp.flows.formats.registry import Schema
from streamapp.flows.formats.schema_store import SchemaStore, Written

#: Prepared schemas that one topic keeps.
_KEPT = 1_000


class RegisteredDecoder:
    """The schemas by which one topic's values are read.

    Args:
        store: Knows the schemas.
        prepare: Makes of a schema what values are read by; it gets the schema's name, too.
    """

    def __init__(self, store: SchemaStore, prepare: Callable[[Schema, str], Any]) -> None:
        self._store = store
        self._prepare = prepare
        self._prepared: dict[int, Any] = {}

    def is_loaded(self, value: bytes) -> bool:
        """See `Decoder`."""
        try:
            return self._store.knows(schema_id(value))
        except Undecodable:
            return True  # to be refused by `decode`

    async def load(self, value: bytes) -> None:
        """See `Decoder`."""
        await self._store.load(schema_id(value))

    def prepared(self, id: int) -> Any:
        """Return what values of the schema ``id`` are read by."""
        if id not in self._prepared:
            found = self._prepare(self._store.get(id), f"schema {id}")
            if len(self._prepared) >= _KEPT:
                self._prepared.clear()
            self._prepared[id] = found
        return self._prepared[id]


class RegisteredEncoder:
    """The schema by which one topic's values are written.

    Args:
        store: Knows the schema's id.
        written: By what values are written.
        prepare: As that of `RegisteredDecoder`.
    """

    def __init__(
        self, store: SchemaStore, written: Written, prepare: Callable[[Schema, str], Any]
    ) -> None:
        self._store = store
        self._written = written
        self._prepare = prepare
        self._found: tuple[int, Any] | None = None

    @property
    def is_loaded(self) -> bool:
        """See `Encoder`."""
        return self._found is not None

    async def load(self) -> None:
        """See `Encoder`."""
        if self._found is None:
            id, schema = await self._store.load_written(self._written)
            self._found = (id, self._prepare(schema, f"schema {id}"))

    def found(self) -> tuple[int, Any]:
        """Return the schema's id and what values are written by."""
        assert self._found is not None, "it is not loaded"
        return self._found


def references_of(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield what a schema uses, by name, each after what it uses itself."""
    for name, used in schema.references:
        yield from references_of(used)
        yield name, used
