"""The adapter of a schema registry over HTTP: what each answer means for who waits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr

from streamapp.errors import ConfigurationError, RegistryUnavailable, SchemaRefused
from streamapp.flows.formats.registry import ConfluentRegistry, Schema
from streamapp.settings import Settings

CANARY = "canary-7f3a"
TEXT = Schema("AVRO", '"string"')


def _json(status: int, code: int = 0) -> web.Response:
    return web.json_response({"error_code": code, "message": CANARY}, status=status)


@asynccontextmanager
async def _registry(answer: web.Response | None) -> AsyncIterator[ConfluentRegistry]:
    """Yield the adapter before a server that gives one answer; None hangs up instead."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(
            body=answer.body, status=answer.status, content_type=answer.content_type
        )

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    registry = ConfluentRegistry(
        Settings(
            schema_registry_url=f"http://{host}:{port}",
            schema_registry_user="worker",
            schema_registry_password=SecretStr(CANARY),
        )
    )
    try:
        yield registry
    finally:
        await registry.aclose()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (_json(401, 40101), r"refuses the worker \(401\): set STREAMAPP_SCHEMA_REGISTRY_USER"),
        (_json(403), r"refuses the worker \(403\)"),
        (_json(500, 50001), "answers 500"),
        (_json(503), "answers 503"),
        (_json(429), "answers 429"),
        (web.Response(text=f"<html>{CANARY}", status=404), "answers 404"),
        (web.Response(text=f"<html>{CANARY}", content_type="text/html"), "does not answer"),
        (web.json_response([CANARY]), "does not answer"),
        (web.json_response({"schema": 7}), "answers without a schema"),
        (web.json_response({}), "answers without a schema"),
        (None, "does not answer"),
    ],
    ids=[
        "401",
        "403",
        "500",
        "503",
        "429",
        "other 404",
        "page",
        "list",
        "no text",
        "empty",
        "hangs up",
    ],
)
async def test_no_answer_of_a_registry_holds_and_is_none_about_the_record(
    answer: web.Response | None, problem: str
) -> None:
    """Whatever is not an answer about the schema is waited for, and holds neither key nor text."""
    async with _registry(answer) as registry:
        with pytest.raises(RegistryUnavailable, match=problem) as raised:
            await registry.schema(7)

    assert CANARY not in str(raised.value)


async def test_what_the_registry_does_not_have_is_none() -> None:
    """Its own codes for it are told from a wrong address."""
    async with _registry(_json(404, 40403)) as registry:
        assert await registry.schema(7) is None
        assert await registry.id_of("a-value", TEXT) is None
    async with _registry(_json(404, 40401)) as registry:
        assert await registry.latest("a-value") is None


@pytest.mark.parametrize("status", [409, 422])
async def test_a_schema_that_is_refused(status: int) -> None:
    """It does not fit those before it, or is none: nobody waits for that."""
    async with _registry(_json(status)) as registry:
        with pytest.raises(SchemaRefused, match=rf"refuses the schema \({status}\)") as raised:
            await registry.register("a-value", TEXT)

    assert CANARY not in str(raised.value)


def test_a_ca_file_that_is_not_there_ends_the_start() -> None:
    """It says which settings to look at."""
    with pytest.raises(ConfigurationError, match="STREAMAPP_SCHEMA_REGISTRY_"):
        ConfluentRegistry(
            Settings(
                schema_registry_url="https://registry", schema_registry_ca_file=Path("nowhere.pem")
            )
        )


async def test_files_that_a_protobuf_file_imports_are_not_asked_for() -> None:
    """Only its own messages are looked at: one that nobody may read holds up no record."""
    imported = [{"name": "other.proto", "subject": "other", "version": 1}]
    body = {"schema": "message A {}", "schemaType": "PROTOBUF", "references": imported}

    async with _registry(web.json_response(body)) as registry:
        found = await registry.schema(1)

    assert found == Schema("PROTOBUF", "message A {}")
