import asyncio

import pytest

from streamapp.errors import SchemaRefused, Undecodable
from streamapp.flows.formats.registry import Schema
from streamapp.flows.formats.schema_store import MISSING_S, SchemaStore, Written
from tests.support.fakeregistry import FakeRegistry

TEXT = Schema("AVRO", '"string"')


class _Naps:
    """Notes waits, and waits for none."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    async def __call__(self, wait_s: float) -> None:
        self.waited.append(wait_s)
        await asyncio.sleep(0)


async def test_a_schema_is_asked_for_once() -> None:
    """Many records that need one schema cause one question."""
    registry = FakeRegistry()
    id = registry.add("s-value", TEXT)
    store = SchemaStore(registry)

    await asyncio.gather(*(store.load(id) for _ in range(20)))
    await store.load(id)

    assert store.get(id) == TEXT
    assert registry.asked == 1


async def test_a_registry_that_is_away_holds_whoever_asks() -> None:
    """It is asked again, more and more seldom, until it answers; and said to be away meanwhile."""
    registry = FakeRegistry(away="the schema registry answers 503")
    id = registry.add("s-value", TEXT)
    naps, errors, seen = _Naps(), [], []

    async def sleep(wait_s: float) -> None:
        await naps(wait_s)
        seen.append(store.impaired())
        if len(naps.waited) == 8:
            registry.away = ""

    store = SchemaStore(registry, on_error=lambda: errors.append(1), sleep=sleep)
    await store.load(id)

    assert naps.waited == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]
    assert len(errors) == 8
    assert seen[0] == ["schemas: the schema registry answers 503"]
    assert store.impaired() == []
    assert store.get(id) == TEXT


async def test_an_unknown_schema_is_asked_for_again_later() -> None:
    """The registry has none with that id: the record is undecodable, one much later is not."""
    registry, at = FakeRegistry(), [0.0]
    store = SchemaStore(registry, clock=lambda: at[0])

    await store.load(1)
    with pytest.raises(Undecodable, match="the schema registry has no schema 1"):
        store.get(1)
    registry.add("s-value", TEXT)
    await store.load(1)
    with pytest.raises(Undecodable):
        store.get(1)
    at[0] = MISSING_S + 1
    await store.load(1)

    assert store.get(1) == TEXT
    assert registry.asked == 2


async def test_what_is_written_is_registered_where_that_is_wanted() -> None:
    """Without `register` the subject must have it; with it the registry may refuse it."""
    registry = FakeRegistry()
    store = SchemaStore(registry)

    with pytest.raises(SchemaRefused, match="register_schemas = true"):
        await store.find_written(Written("a-value", "AVRO", TEXT))
    assert await store.load_written(Written("a-value", "AVRO", TEXT, register=True)) == (1, TEXT)
    assert await store.load_written(Written("a-value", "AVRO", TEXT)) == (1, TEXT)
    registry.refuses.add("b-value")
    with pytest.raises(SchemaRefused, match="409"):
        await store.find_written(Written("b-value", "AVRO", TEXT, register=True))


async def test_the_newest_schema_must_be_of_the_format() -> None:
    """Without a schema of its own a flow takes the newest one, and of its own format alone."""
    registry = FakeRegistry()
    store = SchemaStore(registry)

    with pytest.raises(SchemaRefused, match="no schema for a-value"):
        await store.find_written(Written("a-value", "AVRO", None))
    registry.add("a-value", Schema("JSON", "{}"))
    with pytest.raises(SchemaRefused, match="is JSON, not AVRO"):
        await store.find_written(Written("a-value", "AVRO", None))
    id = registry.add("a-value", TEXT)
    assert await store.find_written(Written("a-value", "AVRO", None)) == (id, TEXT)
