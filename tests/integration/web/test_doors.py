"""Who may come in, and what is not there at all."""

from typing import Any

import pytest
from pydantic import SecretStr

from streamapp.errors import ConfigurationError

from .conftest import FakeAnswerer, Serve

OPEN = {"/livez", "/readyz", "/healthz", "/", "/docs"}


async def test_every_route_but_the_open_ones_needs_a_key(
    serve: Serve, answerer: FakeAnswerer
) -> None:
    """Where keys are set, each registered route answers 401 without one."""
    site = await serve(api_keys=SecretStr("first, second"))
    routes = [(r.method, r.resource.canonical) for r in site.app.web.web_app.router.routes()]

    statuses = {route: (await site(*route))[0] for route in routes}

    closed = {status for (_, path), status in statuses.items() if path not in OPEN}
    assert closed == {401}
    assert {("POST", "/v1/generate"), ("GET", "/version")} < set(statuses)
    assert statuses["GET", "/readyz"] == 200
    assert answerer.asked == []


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


async def test_without_keys_the_loopback_is_open(serve: Serve) -> None:
    """A developer's worker asks for nothing."""
    site = await serve()

    assert (await site("GET", "/version"))[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/table", "/table/", "/router", "/graph", "/stats", "/assignment/", "/performance/", "/"],
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
        await site.app.web.start_server()


async def test_keys_never_come_back(serve: Serve) -> None:
    """No answer holds a key, wrong or right."""
    site = await serve(api_keys=SecretStr("CANARY-key"))
    answers: list[Any] = [
        await site("GET", "/version", headers={"Authorization": f"Bearer CANARY-{key}"})
        for key in ("key", "other")
    ]

    assert "CANARY" not in str(answers)
