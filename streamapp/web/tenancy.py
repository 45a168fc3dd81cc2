"""Records of a key that is of one tenant: marked as its own, and told apart from others'."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from streamapp.errors import InvalidRecord
from streamapp.records import exact_json
from streamapp.records.codec import parse
from streamapp.records.request import ID_LIMIT, Request
from streamapp.web.keys import Key, forbidden

R = TypeVar("R", bound=Request)

#: Between a tenant and the id that its caller gave.
SEPARATOR = ":"


def owned(record: R, key: Key) -> R:
    """Return the record as one of the key's tenant.

    Raises:
        Refusal: It names another tenant, or a model that the key may not use. Where it names
            none, its prompt may: then the router looks.
    """
    if record.model is not None:
        key.check_model(record.model)
    if key.tenant is None:
        return record
    metadata = _marked(record.metadata, key.tenant)
    id = own_id(record.id, key) if record.id is not None else None
    return record.model_copy(update={"metadata": metadata, "id": id})


def owned_all(records: Sequence[R], key: Key) -> list[R]:
    """Return the records of one request as of `owned`; each counts for the key's own rate."""
    found = [owned(record, key) for record in records]
    key.spend(len(found) - 1)
    return found


def owned_bytes(value: bytes, key: Key) -> bytes:
    """Return the bytes of a well-formed record as those of one of the key's tenant.

    Raises:
        Refusal: As of `owned`.
    """
    if key.tenant is None:
        return value
    fields = parse(value)
    fields["metadata"] = _marked(fields.get("metadata") or {}, key.tenant)
    if fields.get("id") is not None:
        fields["id"] = own_id(fields["id"], key)
    return exact_json.dumps(fields)


def own_id(id: str, key: Key) -> str:
    """Return an id within the tenant's own; one that is there already stays as it is.

    So no id of another tenant can be asked for, used up or found out.

    Raises:
        InvalidRecord: It is too long with the tenant before it.
    """
    if key.tenant is None or id.startswith(f"{key.tenant}{SEPARATOR}"):
        return id
    own = f"{key.tenant}{SEPARATOR}{id}"
    if len(own) > ID_LIMIT:
        raise InvalidRecord(f"field 'id': must have at most {ID_LIMIT} characters with the tenant")
    return own


def own_key(kafka_key: bytes, key: Key) -> bytes:
    """Return a record's Kafka key within the tenant's own.

    Records of one key take turns: under another tenant's key the time would tell whether that
    one has some, and its records would wait.
    """
    if key.tenant is None:
        return kafka_key
    start = f"{key.tenant}{SEPARATOR}".encode()
    return kafka_key if kafka_key.startswith(start) else start + kafka_key


def _marked(metadata: Mapping[str, Any], tenant: str) -> dict[str, Any]:
    if metadata.get("tenant") not in (None, "", tenant):
        raise forbidden("this key is of one tenant: metadata.tenant may not name another")
    return {**metadata, "tenant": tenant}
