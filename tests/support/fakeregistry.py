"""A schema registry in memory, which can be away."""

from dataclasses import dataclass, field

from streamapp.errors import RegistryUnavailable, SchemaRefused
from streamapp.flows.formats.registry import Schema


@dataclass
class FakeRegistry:
    """Keeps schemas by id.

    Attributes:
        subjects: Ids by subject, oldest first.
        away: What it answers instead; empty while it is there.
        refuses: Subjects that take nothing more.
        asked: How often it was asked.
    """

    schemas: dict[int, Schema] = field(default_factory=dict)
    subjects: dict[str, list[int]] = field(default_factory=dict)
    away: str = ""
    refuses: set[str] = field(default_factory=set)
    asked: int = 0

    def add(self, subject: str, schema: Schema) -> int:
        """Have a schema, and return its id."""
        id = len(self.schemas) + 1
        self.schemas[id] = schema
        self.subjects.setdefault(subject, []).append(id)
        return id

    async def schema(self, id: int) -> Schema | None:
        self._ask()
        return self.schemas.get(id)

    async def latest(self, subject: str) -> tuple[int, Schema] | None:
        self._ask()
        ids = self.subjects.get(subject)
        return None if not ids else (ids[-1], self.schemas[ids[-1]])

    async def id_of(self, subject: str, schema: Schema) -> int | None:
        self._ask()
        for id in self.subjects.get(subject, ()):
            if self.schemas[id] == schema:
                return id
        return None

    async def register(self, subject: str, schema: Schema) -> int:
        self._ask()
        if subject in self.refuses:
            raise SchemaRefused("the schema registry refuses the schema (409)")
        return self.add(subject, schema)

    async def is_compatible(self, subject: str, schema: Schema) -> bool:
        self._ask()
        return subject not in self.refuses

    async def aclose(self) -> None:
        """Nothing is open."""

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise RegistryUnavailable(self.away)
