"""A schema registry, as flows need it: a port, and an adapter over confluent-kafka's client."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from streamapp.errors import ConfigurationError, RegistryUnavailable, SchemaRefused
from streamapp.settings import Settings

Kind = Literal["AVRO", "JSON", "PROTOBUF"]

#: Longest time of one request, seconds: who waits for a schema tries again.
TIMEOUT_S = 10.0
#: The registry's words for "no such schema", "no such subject" and "no such version".
_NOT_FOUND = (404, 40401, 40402, 40403)
_EXTRA = "from a clone: pip install '.[schema-registry]'"


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema as the registry keeps it.

    Attributes:
        text: Of Avro and JSON Schema as JSON; of Protobuf the file's descriptor in base64.
        references: The other schemas that it uses, by the name that it uses them by; none of
            Protobuf's, of which nothing but the file's own messages is looked at.
    """

    kind: Kind
    text: str
    references: tuple[tuple[str, "Schema"], ...] = ()


class SchemaRegistry(Protocol):
    """What flows ask a registry; every question raises `RegistryUnavailable` without an answer."""

    async def schema(self, id: int) -> Schema | None:
        """Return the schema with that id; None where there is none."""
        ...

    async def latest(self, subject: str) -> tuple[int, Schema] | None:
        """Return the newest schema of a subject, with its id; None where it has none."""
        ...

    async def id_of(self, subject: str, schema: Schema) -> int | None:
        """Return the id of a schema under a subject; None where it is not registered there."""
        ...

    async def register(self, subject: str, schema: Schema) -> int:
        """Register a schema and return its id; raises `SchemaRefused`."""
        ...

    async def is_compatible(self, subject: str, schema: Schema) -> bool:
        """Return whether the registry would take the schema."""
        ...

    async def aclose(self) -> None:
        """Close its connections."""
        ...


class ConfluentRegistry:
    """Confluent's schema registry, or another one that speaks as it does.

    Raises:
        ConfigurationError: The extra is not installed, or the address or CA file is wrong.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            from confluent_kafka.schema_registry import AsyncSchemaRegistryClient
        except ImportError:
            raise ConfigurationError(
                f"flows in Avro, JSON Schema and Protobuf need an extra: {_EXTRA}"
            ) from None
        options: dict[str, Any] = {
            "url": settings.schema_registry_url,
            "timeout": TIMEOUT_S,
            # Whoever waits tries again, and says that it waits.
            "max.retries": 0,
        }
        if settings.schema_registry_user:
            password = settings.schema_registry_password.get_secret_value()
            options["basic.auth.user.info"] = f"{settings.schema_registry_user}:{password}"
        if settings.schema_registry_ca_file is not None:
            options["ssl.ca.location"] = str(settings.schema_registry_ca_file)
        try:
            self._client = AsyncSchemaRegistryClient(options)
        except (ValueError, OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"STREAMAPP_SCHEMA_REGISTRY_*: {error}") from None

    async def schema(self, id: int) -> Schema | None:
        """See `SchemaRegistry`."""
        found = await self._ask(self._client.get_schema(id))
        return None if found is None else await self._whole(found)

    async def latest(self, subject: str) -> tuple[int, Schema] | None:
        """See `SchemaRegistry`."""
        # What is registered meanwhile is to be seen: the client would keep the first answer.
        await self._client.clear_latest_caches()  # type: ignore[no-untyped-call]  # it has no types
        found = await self._ask(self._client.get_latest_version(subject))
        return None if found is None else (found.schema_id, await self._whole(found.schema))

    async def id_of(self, subject: str, schema: Schema) -> int | None:
        """See `SchemaRegistry`."""
        found = await self._ask(self._client.lookup_schema(subject, _theirs(schema)))
        return None if found is None else found.schema_id

    async def register(self, subject: str, schema: Schema) -> int:
        """See `SchemaRegistry`."""
        asked = self._client.register_schema(subject, _theirs(schema))
        id = await self._ask(asked, refused=(409, 422))
        if id is None:
            raise RegistryUnavailable(f"the schema registry does not know the subject {subject}")
        return int(id)

    async def is_compatible(self, subject: str, schema: Schema) -> bool:
        """See `SchemaRegistry`."""
        asked = self._client.test_compatibility(subject, _theirs(schema))
        found = await self._ask(asked, refused=(409, 422))
        return True if found is None else bool(found)  # None: the subject has no schema yet

    async def aclose(self) -> None:
        """See `SchemaRegistry`."""
        await self._client.aclose()

    async def _whole(self, found: Any) -> Schema:
        if not isinstance(found.schema_str, str):
            # Of whatever stands before the registry; it must not be kept as the schema.
            raise RegistryUnavailable("the schema registry answers without a schema")
        references = []
        for reference in (found.schema_type != "PROTOBUF" and found.references) or ():
            used = await self._ask(self._client.get_version(reference.subject, reference.version))
            if used is None:
                raise RegistryUnavailable(
                    f"a schema refers to {reference.subject}, which the registry does not have"
                )
            references.append((reference.name, await self._whole(used.schema)))
        return Schema(found.schema_type or "AVRO", found.schema_str, tuple(references))

    async def _ask(self, asked: Any, *, refused: Sequence[int] = ()) -> Any:
        """Return the answer; None where the registry has nothing of that name."""
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        try:
            return await asked
        except SchemaRegistryError as error:
            if error.http_status_code == 404 and error.error_code in _NOT_FOUND:
                return None
            code = error.http_status_code
            if code in refused:
                raise SchemaRefused(f"the schema registry refuses the schema ({code})") from None
            raise RegistryUnavailable(_reason(code)) from None
        except Exception as error:  # of whichever HTTP client it uses
            raise RegistryUnavailable(
                f"the schema registry does not answer ({type(error).__name__})"
            ) from error


def _reason(code: int) -> str:
    if code in (401, 403):
        return (
            f"the schema registry refuses the worker ({code}): set"
            " STREAMAPP_SCHEMA_REGISTRY_USER and _PASSWORD"
        )
    return f"the schema registry answers {code}"


def _theirs(schema: Schema) -> Any:
    from confluent_kafka.schema_registry import Schema as Theirs

    return Theirs(schema.text, schema.kind)
