"""The reference of HTTP: every operation, with what it takes and answers."""

from collections.abc import Iterator, Mapping
from typing import Any

from reference.markdown import code, page, section, table, words
from streamapp.processors.registry import Registry
from streamapp.web.openapi import openapi
from streamapp.web.operations import OPERATIONS

INTRO = """`GET /openapi.json` of a worker has the same with all schemas, and the types of your own;
`GET /docs` shows it. [HTTP](../http.md) tells how these are used. Errors are
`{"error": {"message", "type", "param", "code"}}`. Where keys are set, each needs
`Authorization: Bearer KEY`, but for those marked *open*."""

Schema = Mapping[str, Any]


def http_page() -> str:
    """Return the page."""
    registry = Registry.load(())
    records = {type: registry.processor_for(type).record for type in registry.types}
    document = openapi(OPERATIONS, records=records, has_keys=True)
    heads = ("operation", "takes", "answers", "errors")
    return page(
        "HTTP",
        INTRO,
        *(section(tag, table(heads, _rows(document, tag))) for tag in OPERATIONS),
    )


def _rows(document: Schema, tag: str) -> Iterator[list[str]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                is_open = " *(open)*" if operation.get("security") == [] else ""
                yield [
                    f"{code(f'{method.upper()} {path}')}{is_open}: {operation['summary']}",
                    words(*_parameters(operation), *_body(operation)),
                    words(*_answers(operation["responses"])),
                    words(*_errors(operation["responses"])),
                ]


def _parameters(operation: Schema) -> Iterator[str]:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query":
            yield code(f"?{parameter['name']}=")
        elif parameter["in"] == "header":
            yield f"header {code(parameter['name'])}"


def _body(operation: Schema) -> Iterator[str]:
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield _named(content["schema"]) if media == "application/json" else f"or {code(media)}"


def _answers(responses: Schema) -> Iterator[str]:
    for status, response in responses.items():
        if int(status) < 300:
            kinds = [
                _named(content["schema"]) if media == "application/json" else code(media)
                for media, content in response["content"].items()
            ]
            yield f"{status}: {' or '.join(kinds)}"


def _errors(responses: Schema) -> Iterator[str]:
    return (status for status in sorted(responses) if int(status) >= 300)


def _named(schema: Schema) -> str:
    if "$ref" in schema:
        return code(schema["$ref"].rpartition("/")[2])
    if either := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(map(_named, either))
    return "JSON"
