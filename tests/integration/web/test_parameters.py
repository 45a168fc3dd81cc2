"""Parameters in the address: one that an operation does not know is told, not passed over."""

import re

import pytest

from streamapp.web.operations import PARAMETERS
from tests.integration.web.conftest import FakeDeadLetters, FakeRequestProducer, Serve

#: Every parameter of every operation that takes any.
EACH = [
    (method, re.sub(r"[{}]", "", path), name)
    for (method, path), names in PARAMETERS.items()
    for name in names
]
CHAT = {"messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(("method", "path", "name"), EACH)
async def test_mistyped_parameter_is_told(
    serve: Serve,
    dead_letters: FakeDeadLetters,
    producer: FakeRequestProducer,
    method: str,
    path: str,
    name: str,
) -> None:
    """The answer names it and the known one, or all where none is like it; nothing is done."""
    site = await serve()
    mistyped = f"{name[0]}{name[2:]}{name[1:2]}x"

    status, body, _ = await site(method, f"{path}?{mistyped}=1", json={"type": "echo"})

    error = body["error"]
    assert (status, error["code"], error["param"]) == (422, "invalid", mistyped)
    assert re.search(rf"^parameter '{mistyped}' is unknown.*\b{name}\b", error["message"])
    assert (dead_letters.asked, producer.posted) == ([], [])


async def test_mistyped_parameter_is_told_with_the_known_one(serve: Serve) -> None:
    """As an unknown field of a body is; HEAD is refused as GET is."""
    site = await serve()

    _, body, _ = await site("GET", "/v1/dead-letters?limit=1&knd=invalid")
    head, _, _ = await site("HEAD", "/v1/dead-letters?knd=invalid")

    assert body["error"]["message"] == "parameter 'knd' is unknown, did you mean 'kind'?"
    assert head == 422


async def test_key_is_asked_for_before_parameters_are_looked_at(serve: Serve) -> None:
    """Which there are is for who may come in."""
    site = await serve(api_keys="secret")

    assert (await site("GET", "/v1/dead-letters?knd=invalid"))[0] == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions?api-version=2024-10-21"),
        ("GET", "/v1/models?limit=20&after=x"),
        ("GET", "/?theme=dark"),
        ("GET", "/livez?verbose"),
        ("GET", "/metrics?name=x"),
    ],
)
async def test_what_takes_no_parameters_ignores_them(serve: Serve, method: str, path: str) -> None:
    """OpenAI's clients, load balancers and Prometheus add their own."""
    models = {"default": {"targets": ["fake/m"]}}
    site = await serve(providers={"fake": {"kind": "offline"}}, models=models)

    status, _, _ = await site(method, path, json=CHAT if method == "POST" else None)

    assert status == 200
