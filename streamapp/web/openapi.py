"""The OpenAPI 3.1 document, made of the operations and of the pydantic models themselves."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from streamapp.records.request import Request
from streamapp.web.operations.operation import EVENTS, RECORD, ErrorBody, Operation

JSON, LINES = "application/json", "application/jsonl"

REFERENCE = "#/components/schemas/{model}"

Schema = dict[str, Any]

#: One server-sent event.
EVENT: Schema = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["data"],
}


class ComponentSchemas:
    """JSON Schemas of types, with what they share as components.

    Args:
        wanted: The types, each with whether it is read (``validation``) or written.
    """

    def __init__(self, wanted: Iterable[tuple[Any, JsonSchemaMode]]) -> None:
        found = [(f"{number}", *one) for number, one in enumerate(wanted)]
        schemas, rest = TypeAdapter.json_schemas(
            [(name, mode, TypeAdapter(kind)) for name, kind, mode in found], ref_template=REFERENCE
        )
        self._schemas = [(kind, mode, schemas[name, mode]) for name, kind, mode in found]
        self.components: dict[str, Schema] = rest.get("$defs", {})

    def of(self, kind: Any, mode: JsonSchemaMode) -> Schema:
        """Return the schema of a wanted type."""
        return next(s for k, m, s in self._schemas if k == kind and m == mode)


def record_schema(
    records: Mapping[str, type[Request]], schemas: ComponentSchemas, *, short_form: bool = False
) -> Schema:
    """Return the schema of any record: one of the types, told apart by ``type``.

    ``short_form`` says that ``generate`` needs not name its type.
    """
    references = {type: schemas.of(record, "validation") for type, record in records.items()}
    for type, reference in references.items():
        component = schemas.components[reference["$ref"].rpartition("/")[2]]
        component["properties"]["type"] = {"const": type, "type": "string"}
        if short_form and type == "generate":
            component["required"].remove("type")
    mapping = {type: reference["$ref"] for type, reference in references.items()}
    return {
        "oneOf": list(references.values()),
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }


def openapi(
    tagged: Mapping[str, Sequence[Operation]],
    *,
    records: Mapping[str, type[Request]],
    has_keys: bool,
) -> Schema:
    """Return the document.

    Args:
        tagged: Operations by heading, both in the order of the document.
        records: The record classes by type.
        has_keys: Whether this worker asks for keys.
    """
    operations = [op for under in tagged.values() for op in under]
    bodies = {op.body for op in operations if op.body not in (None, RECORD)}
    answers = [kind for op in operations for kind in op.answers.values()]
    schemas = ComponentSchemas(
        [
            *((record, "validation") for record in records.values()),
            *((body, "validation") for body in bodies),
            *((kind, "serialization") for kind in answers if not isinstance(kind, str)),
            (ErrorBody, "serialization"),
        ]
    )
    schemas.components["Record"] = record_schema(records, schemas, short_form=True)
    paths: dict[str, dict[str, Any]] = {}
    for tag, under in tagged.items():
        for op in under:
            found = {"tags": [tag], **_operation(op, schemas, has_keys)}
            paths.setdefault(op.path, {})[op.method.lower()] = found
    bearer = {"type": "http", "scheme": "bearer"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "streamapp",
            "version": version("streamapp"),
            "description": "Language-model calls for records, over HTTP.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            **({"securitySchemes": {"bearer": bearer}} if has_keys else {}),
        },
        **({"security": [{"bearer": []}]} if has_keys else {}),
    }


def _operation(op: Operation, schemas: ComponentSchemas, has_keys: bool) -> Schema:
    found: Schema = {
        "operationId": re.sub(r"\W+", "_", f"{op.method.lower()}{op.path}").strip("_"),
        "summary": op.summary,
        "responses": _responses(op, schemas, has_keys),
    }
    parameters = [
        *(_parameter(name, "path", _place(op.places.get(name, {}))) for name in _names(op.path)),
        *(_parameter(name, "query", schema) for name, schema in op.query.items()),
        *(_parameter(name, "header", schema) for name, schema in op.headers.items()),
    ]
    if parameters:
        found["parameters"] = parameters
    if op.body is not None:
        found["requestBody"] = {"required": True, "content": _content(op, schemas)}
    if op.is_open:
        found["security"] = []
    return found


def _content(op: Operation, schemas: ComponentSchemas) -> Schema:
    if op.body is RECORD:
        schema: Schema = {"$ref": REFERENCE.format(model="Record")}
    else:
        schema = schemas.of(op.body, "validation")
    lines = {LINES: {"schema": {"type": "string"}}} if op.lines else {}
    return {JSON: {"schema": schema}, **lines}


def _responses(op: Operation, schemas: ComponentSchemas, has_keys: bool) -> Schema:
    responses = {}
    for status, kind in op.answers.items():
        content: Schema = (
            {kind: {"schema": {"type": "string"}}}
            if isinstance(kind, str)
            else {JSON: {"schema": schemas.of(kind, "serialization")}}
        )
        if op.streams:
            content[EVENTS] = {"schema": EVENT}
        responses[str(status)] = {"description": op.summary, "content": content}
    keys = (401,) if has_keys and not op.is_open else ()
    error = {JSON: {"schema": schemas.of(ErrorBody, "serialization")}}
    for status in (400, *keys, 403, *op.failures):
        responses[str(status)] = {"description": _MEANING[status], "content": error}
    return responses


_TEXT: Schema = {"type": "string", "minLength": 1}

_MEANING = {
    400: "This is no HTTP that a server can read",
    401: "No key, or none of ours",
    403: "A page of another site sent this",
    404: "There is no such path, id, model or prompt",
    408: "The body did not arrive in time",
    409: "Somebody else decided otherwise: look again, or use force",
    413: "The body is too large",
    415: "The body is said to be something else than JSON",
    422: "The record or a parameter is wrong; `code` is the kind",
    429: "The budget is spent, or the rate of the key itself is used up",
    500: "A bug of ours",
    503: "Try again after `Retry-After` seconds",
    504: "No answer in time",
}


def _parameter(name: str, place: str, schema: Mapping[str, Any]) -> Schema:
    required = place == "path"
    return {"name": name, "in": place, "required": required, "schema": dict(schema)}


def _place(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of what stands in a path: a text where nothing else is said."""
    return schema if "type" in schema else {**_TEXT, **schema}


def _names(path: str) -> list[str]:
    return re.findall(r"{(\w+)}", path)
