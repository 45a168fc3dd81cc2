"""Who may come in, and what is not there at all."""

import gzip
import zlib
from typing import Any, cast

import pytest
from pydantic import SecretStr

from streamapp.errors import ConfigurationError, InvalidRecord
from streamapp.web.middleware import count_answers

from .conftest import FakeRequestHandler, Serve

ECHO = b'{"type":"echo"}'
OPEN = {"/livez", "/readyz", "/healthz", "/", "/docs"}


async def test_every_route_but_the_open_ones_needs_a_key(
    serve: Serve, handler: FakeRequestHandler
) -> None:
    """Where keys are set, each registered route answers 401 without one."""
    site = await serve(api_keys=SecretStr("first, second"))
    routes = [
        (r.method, r.resource.canonical) for r in cast(Any, site.app.web).web_app.router.routes()
    ]

    statuses = {route: (await site(*route))[0] for route in routes}

    closed = {status for (_, path), status in statuses.items() if path not in OPEN}
    assert closed == {401}
    assert {("POST", "/v1/generate"), ("GET", "/version")} < set(statuses)
    assert statuses["GET", "/readyz"] == 200
    assert handler.asked == []


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer first", 200),
        ("bearer second", 200),
        ("Bearer third", 401),
        ("Bearer ", 401),
        ("Bearer first, second", 401),
        ("Basic first", 401),
        ("first", 401),
        ("Bearer fir\u00e9st", 401),
    ],
)
async def test_only_a_known_bearer_key_opens(serve: Serve, authorization: str, status: int) -> None:
    """Each key opens, in any case of the scheme; anything else is 401 in the error shape."""
    site = await serve(api_keys=SecretStr("first, second"))

    got, body, headers = await site("GET", "/version", headers={"Authorization": authorization})

    assert got == status
    if status == 401:
        assert body["error"]["code"] == "invalid_api_key"
        assert headers["WWW-Authenticate"] == "Bearer"


async def test_every_answer_is_counted_by_its_status(
    serve: Serve, handler: FakeRequestHandler
) -> None:
    """What a view raises, and what is refused before there is one, too."""
    noted: list[int] = []
    site = await serve(
        api_keys=SecretStr("first"),
        outermost=[count_answers(lambda status, _: noted.append(status))],
    )
    handler.failure = InvalidRecord("field 'x': is not there")
    known = {"Authorization": "Bearer first"}

    got = [
        (await site("GET", "/version", headers=known))[0],
        (await site("GET", "/version"))[0],
        (await site("GET", "/nowhere", headers=known))[0],
        (await site("POST", "/v1/generate", headers=known, json={"type": "echo"}))[0],
    ]

    assert noted == got == [200, 401, 404, 422]


async def test_without_keys_the_loopback_is_open(serve: Serve) -> None:
    """A developer's worker asks for nothing."""
    site = await serve()

    assert (await site("GET", "/version"))[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/table", "/table/", "/router", "/graph", "/stats", "/assignment/", "/performance/"],
)
async def test_pages_of_faust_are_not_there(serve: Serve, path: str) -> None:
    """Tables, topology and statistics are not served by Faust's pages."""
    site = await serve()

    status, body, _ = await site("GET", path)

    assert (status, body["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/generate", 405), ("POST", "/livez", 405), ("GET", "/v1/../livez/x", 404)],
)
async def test_wrong_paths_and_methods_have_the_error_shape(
    serve: Serve, method: str, path: str, status: int
) -> None:
    """What aiohttp refuses itself looks like every other error."""
    site = await serve()

    got, body, _ = await site(method, path)

    assert got == status
    assert set(body["error"]) == {"message", "type", "param", "code"}


async def test_public_host_without_keys_is_refused(serve: Serve) -> None:
    """Faust's own --web-bind cannot open a worker that asks for no key."""
    with pytest.raises(ConfigurationError, match="STREAMAPP_API_KEYS"):
        await serve(bind="0.0.0.0")

    assert await serve(bind="0.0.0.0", api_keys=SecretStr("key"))


async def test_taken_port_is_named(serve: Serve) -> None:
    """A second worker on one port says which setting to change."""
    site = await serve()

    with pytest.raises(ConfigurationError, match="STREAMAPP_WEB_PORT"):
        await cast(Any, site.app.web).start_server()


async def test_keys_never_come_back(serve: Serve) -> None:
    """No answer holds a key, wrong or right."""
    site = await serve(api_keys=SecretStr("CANARY-key"))
    answers: list[Any] = [
        await site("GET", "/version", headers={"Authorization": f"Bearer CANARY-{key}"})
        for key in ("key", "other")
    ]

    assert "CANARY" not in str(answers)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, None),
        ({"Origin": "http://evil.example"}, "pages of other sites"),
        ({"Origin": "null"}, "pages of other sites"),
        ({"Host": "evil.example:6066"}, "not 'evil.example': set STREAMAPP_API_KEYS"),
        (
            {"Host": "evil.example:6066", "Origin": "http://evil.example:6066"},
            "not 'evil.example': set STREAMAPP_API_KEYS",
        ),
        ({"Host": "x" * 999}, f"not '{'x' * 64}': set STREAMAPP_API_KEYS"),
        ({"Host": "localhost"}, None),
        ({"Host": "[::1]:80"}, None),
        ({"Host": "[::1"}, "not '[:': set STREAMAPP_API_KEYS"),
        ({"Host": "localhost", "Origin": "http://localhost"}, None),
    ],
)
async def test_pages_of_other_sites_are_refused(
    serve: Serve, handler: FakeRequestHandler, headers: dict[str, str], told: str | None
) -> None:
    """A page in the developer's browser cannot spend on an open loopback, nor rebind its name.

    Who has no page, and only another name for this machine, is told what to do.
    """
    site = await serve()

    got, body, _ = await site("POST", "/v1/generate", json={"type": "echo"}, headers=headers)

    assert got == (403 if told else 200)
    if told:
        assert (body["error"]["code"], told in body["error"]["message"]) == ("foreign_origin", True)
    assert len(handler.asked) == (told is None)


async def test_worker_with_keys_answers_under_any_name(serve: Serve) -> None:
    """Behind a proxy or a service name the key is what protects it."""
    site = await serve(api_keys=SecretStr("key"))
    headers = {"Host": "streamapp.internal", "Authorization": "Bearer key"}

    assert (await site("GET", "/version", headers=headers))[0] == 200


@pytest.mark.parametrize("path", ["/v1/generate", "/v1/chat/completions", "/v1/requests"])
async def test_wrong_content_type_is_415(
    serve: Serve, handler: FakeRequestHandler, path: str
) -> None:
    """A form or a file is not taken for a record."""
    site = await serve()

    status, body, _ = await site(
        "POST", path, data=b'{"type":"echo"}', headers={"Content-Type": "multipart/form-data"}
    )

    assert (status, body["error"]["code"]) == (415, "unsupported_media_type")
    assert handler.asked == []


@pytest.mark.parametrize("encoding", ["compress", "br", "zstd", "gzip, br"])
async def test_unknown_encoding_is_415(
    serve: Serve, handler: FakeRequestHandler, encoding: str
) -> None:
    """A body that is packed by a way that nobody here knows is refused; its sender can send on."""
    site = await serve()
    packed = b"x" * 1_000_000

    status, body, headers = await site(
        "POST", "/v1/generate", data=packed, headers={"Content-Encoding": encoding}
    )

    assert (status, body["error"]["code"]) == (415, "unsupported_media_type")
    assert body["error"]["param"] == "content-encoding"
    assert headers.get("Connection") != "close"
    assert handler.asked == []


@pytest.mark.parametrize(
    ("encoding", "data", "status", "code"),
    [
        pytest.param("gzip", gzip.compress(ECHO), 200, None, id="gzip"),
        pytest.param("DEFLATE", zlib.compress(ECHO), 200, None, id="deflate"),
        pytest.param("identity", ECHO, 200, None, id="identity"),
        pytest.param("gzip", gzip.compress(ECHO)[:-9], 400, "bad_request", id="cut gzip"),
        pytest.param("deflate", zlib.compress(ECHO)[:-5], 400, "bad_request", id="cut deflate"),
        pytest.param("gzip", gzip.compress(b"[" * 3_000_000), 413, "too_large", id="too large"),
    ],
)
async def test_packed_body(
    serve: Serve, encoding: str, data: bytes, status: int, code: str | None
) -> None:
    """It is read as if it were not packed, within the same bounds; half of one is refused."""
    site = await serve()

    got, body, _ = await site(
        "POST", "/v1/generate", data=data, headers={"Content-Encoding": encoding}
    )

    assert (got, body.get("error", {}).get("code")) == (status, code)


@pytest.mark.parametrize("path", ["/livez", "/v1/models", "/nowhere", "/docs"])
async def test_every_response_has_the_security_headers(serve: Serve, path: str) -> None:
    """Nothing may be framed, sniffed, stored or loaded from elsewhere, and no origin is allowed."""
    site = await serve()

    _, _, headers = await site("GET", path)

    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Request-Id"].startswith("req_")
    assert not [name for name in headers if name.lower().startswith("access-control")]
