"""Named keys: what each may do, whose records it sees, and how it is told."""

import asyncio
import json
import re
from typing import Any, cast

import pytest
from pydantic import SecretStr

from streamapp.errors import ModelForbidden
from streamapp.settings import KeySettings, ModelSettings, ProviderSettings
from streamapp.settings.keys import SCOPES, digest_of
from streamapp.streaming.delivery.request_status import RequestStatus, Status
from streamapp.web.middleware import OPEN_PATHS
from streamapp.web.operations import OPERATIONS
from streamapp.web.peers import HOP

from .conftest import FakeDeadLetters, FakeRequestHandler, FakeRequestProducer, Serve, Site

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}


def key(value: str, *scopes: str, **fields: Any) -> KeySettings:
    return KeySettings.model_validate(
        {"key_sha256": digest_of(value).hex(), "scopes": list(scopes or SCOPES), **fields}
    )


def bearer(value: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}", **more}


@pytest.fixture
async def site(serve: Serve) -> Site:
    """A worker with a key of each scope, of two tenants, and one that has all scopes."""
    return await serve(
        providers={"p": ProviderSettings(kind="offline")},
        models={name: ModelSettings(targets=["p/m"]) for name in ("default", "other")},
        api_keys=SecretStr("everything"),
        keys={
            **{scope: key(f"only-{scope}", scope) for scope in SCOPES},
            "shop": key("shop-key", tenant="a"),
            "desk": key("desk-key", tenant="b"),
            "small": key("small-key", models=["other"]),
            "slow": key("slow-key", requests_per_minute=1),
            "turned": KeySettings(
                key_sha256=[digest_of("old-key").hex(), digest_of("new-key").hex()],
                scopes=["read"],
            ),
        },
    )


MATRIX = {
    ("POST", "/v1/generate"): {"infer"},
    ("POST", "/v1/requests"): {"infer"},
    ("GET", "/v1/requests/{id}"): {"infer", "read"},
    ("POST", "/v1/chat/completions"): {"infer"},
    ("POST", "/v1/completions"): {"infer"},
    ("POST", "/v1/embeddings"): {"infer"},
    ("POST", "/v1/responses"): {"infer"},
    ("GET", "/v1/models"): set(SCOPES),
    ("GET", "/v1/models/{model}"): set(SCOPES),
    ("GET", "/v1/prompts"): {"read"},
    ("GET", "/v1/prompts/{name}"): {"read"},
    ("GET", "/v1/prompts/{name}/stats"): {"read"},
    ("GET", "/v1/prompts/{name}/versions/{version}/examples"): {"read"},
    ("POST", "/v1/prompts/{name}/versions"): {"prompts"},
    ("PUT", "/v1/prompts/{name}/labels/{label}"): {"prompts"},
    ("PUT", "/v1/prompts/{name}/split"): {"prompts"},
    ("GET", "/v1/dead-letters"): {"read"},
    ("POST", "/v1/dead-letters/replay"): {"replay"},
    ("POST", "/v1/dead-letters/edit"): {"replay"},
    ("GET", "/v1/live"): {"read"},
    ("GET", "/v1/history"): {"read"},
    ("GET", "/v1/flows"): {"read"},
    ("GET", "/v1/flows/{flow}/records/{partition}/{offset}"): {"read"},
    ("GET", "/v1/tools"): {"read"},
    ("GET", "/v1/workers"): {"read"},
    ("GET", "/metrics"): {"metrics", "read"},
    ("GET", "/v1/cache/{fingerprint}"): {"read"},
    ("GET", "/version"): set(SCOPES),
    ("GET", "/v1/key"): set(SCOPES),
    ("GET", "/openapi.json"): set(SCOPES),
    ("GET", "/asyncapi.json"): set(SCOPES),
}


async def test_every_route_by_scope(site: Site) -> None:
    """Each route lets the keys of its scopes in and answers 403 to the others."""
    routes = [
        (route.method, route.resource.canonical)
        for route in cast(Any, site.app.web).web_app.router.routes()
        if route.resource and route.resource.canonical not in OPEN_PATHS
    ]
    found: dict[tuple[str, str], set[str]] = {}
    for method, path in routes:
        query = {"count": "1"} if path == "/v1/live" else {}
        for scope in SCOPES:
            headers = bearer(f"only-{scope}")
            real = re.sub(r"{\w+}", "x", path)
            status, _, _ = await site(method, real, headers=headers, params=query)
            if status != 403:
                found.setdefault((method, path), set()).add(scope)

    heads = {(m, p): s for (m, p), s in found.items() if m == "HEAD"}
    assert {k: s for k, s in found.items() if k not in heads} == MATRIX
    assert all(scopes == MATRIX["GET", path] for (_, path), scopes in heads.items())


def test_every_operation_is_in_the_matrix() -> None:
    """What is documented is checked."""
    documented = {(o.method, o.path) for under in OPERATIONS.values() for o in under}
    assert {(m, p) for m, p in documented if p not in OPEN_PATHS} == MATRIX.keys()


async def test_refused_scope_is_named(site: Site) -> None:
    """The body says which scope is needed."""
    status, body, _ = await site("GET", "/v1/prompts", headers=bearer("only-infer"))

    assert (status, body["error"]["code"]) == (403, "forbidden")
    assert "read" in body["error"]["message"]


async def test_key_without_a_name_may_do_everything(site: Site) -> None:
    """API_KEYS keep all scopes beside named keys."""
    status, body, _ = await site("GET", "/v1/key", headers=bearer("everything"))

    assert (status, set(body["scopes"]), body["tenant"]) == (200, set(SCOPES), None)
    assert body["requests_per_minute"] is None


@pytest.mark.parametrize("value", ["old-key", "new-key"])
async def test_each_value_of_a_key_opens(site: Site, value: str) -> None:
    """While a key is changed, both values are the same caller."""
    status, body, _ = await site("GET", "/v1/key", headers=bearer(value))

    assert (status, body["name"]) == (200, "turned")


async def test_tenant_of_a_key_is_fixed(site: Site, handler: FakeRequestHandler) -> None:
    """A record is of the key's tenant, whatever path it comes by; another one is refused."""
    bodies: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": CHAT,
        "/v1/generate": {"type": "echo"},
        "/v1/responses": {"input": "hi"},
    }
    for path, body in bodies.items():
        status, _, _ = await site("POST", path, json=body, headers=bearer("shop-key"))
        assert status == 200
        assert handler.asked[-1][0].metadata == {"tenant": "a"}

        named = body | {"metadata": {"tenant": "b"}}
        status, answer, _ = await site("POST", path, json=named, headers=bearer("shop-key"))
        assert (status, answer["error"]["code"]) == (403, "forbidden")
    assert len(handler.asked) == len(bodies)


async def test_posted_record_is_of_its_tenant(site: Site, producer: FakeRequestProducer) -> None:
    """The bytes on the topic name the tenant, and an id within its own."""
    headers = bearer("shop-key", **{"Idempotency-Key": "r1"})
    record = {"type": "echo", "text": "x", "metadata": {"more": 1}}

    status, body, _ = await site("POST", "/v1/requests", json=record, headers=headers)

    id, _, value = producer.posted[0]
    assert (status, body["id"], id) == (202, "a:r1", "a:r1")
    assert json.loads(value) == record | {"id": "a:r1", "metadata": {"more": 1, "tenant": "a"}}


async def test_other_tenants_ids_are_unknown(site: Site, producer: FakeRequestProducer) -> None:
    """An id of another tenant reads as one that nobody knows, by status and text."""
    producer.words["a:r1"] = RequestStatus(status=Status.DEAD, kind="invalid")

    own = await site("GET", "/v1/requests/r1", headers=bearer("shop-key"))
    foreign = await site("GET", "/v1/requests/a:r1", headers=bearer("desk-key"))
    unknown = await site("GET", "/v1/requests/nothing", headers=bearer("desk-key"))

    assert own[:2] == (200, {"id": "a:r1", "status": "dead", "kind": "invalid"})
    assert foreign[:2] == unknown[:2]
    assert foreign[0] == 404


async def test_dead_letters_are_those_of_the_tenant(
    site: Site, dead_letters: FakeDeadLetters
) -> None:
    """A key of one tenant lists and replays its own, and does not learn how many others have."""
    _, body, _ = await site("GET", "/v1/dead-letters", headers=bearer("shop-key"))
    places = {"places": [{"partition": 0, "offset": 1}]}
    await site("POST", "/v1/dead-letters/replay", json=places, headers=bearer("shop-key"))

    assert dead_letters.asked[0].tenant == "a"
    assert dead_letters.tenants == ["a"]
    assert (body["looked_at"], body["foreign"], body["complete"]) == (0, 0, False)


async def test_corrected_record_is_the_tenants_own(
    site: Site, dead_letters: FakeDeadLetters
) -> None:
    """It is marked as its tenant's, and one that names another tenant is sent nowhere."""
    path, key = "/v1/dead-letters/edit", bearer("shop-key")
    place = {"partition": 0, "offset": 1}
    foreign = '{"type": "echo", "metadata": {"tenant": "b"}}'
    own = '{"type": "echo", "id": "r-1"}'

    refused, _, _ = await site("POST", path, json={"place": place, "record": foreign}, headers=key)
    taken, _, _ = await site("POST", path, json={"place": place, "record": own}, headers=key)

    assert (refused, taken) == (403, 200)
    assert dead_letters.tenants == ["a"]
    [(_, value)] = dead_letters.corrected
    assert json.loads(value) == {"type": "echo", "id": "a:r-1", "metadata": {"tenant": "a"}}


async def test_what_workers_tell_one_another_is_not_for_one_tenant(
    site: Site, producer: FakeRequestProducer
) -> None:
    """Who asks as another worker would does not see by its offsets how much the group does."""
    producer.words["a:r1"] = RequestStatus(status=Status.PENDING, committed={0: 4_141_414_141})

    told = {}
    for key, id in (("shop-key", "r1"), ("everything", "a:r1")):
        _, _, headers = await site("GET", f"/v1/requests/{id}", headers=bearer(key, **{HOP: "1"}))
        told[key] = "4141414141" in "".join(headers.values())

    assert told == {"shop-key": False, "everything": True}


async def test_complete_tells_one_tenant_nothing_of_others(
    site: Site, dead_letters: FakeDeadLetters
) -> None:
    """Whether others' letters push some out of the list is the same to a tenant either way."""
    told = {}
    for is_whole in (True, False):
        dead_letters.is_whole = is_whole
        for key in ("shop-key", "everything"):
            _, body, _ = await site("GET", "/v1/dead-letters", headers=bearer(key))
            told[key, is_whole] = body["complete"]

    assert told["shop-key", True] == told["shop-key", False]
    assert (told["everything", True], told["everything", False]) == (True, False)


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/live", "/v1/workers", "/v1/tools", "/metrics", "/v1/prompts/x/stats"),
        "/v1/cache/" + "0" * 32,
    ],
)
async def test_whole_group_is_not_for_one_tenant(site: Site, path: str) -> None:
    """What shows the numbers of everybody is refused to a key of one tenant."""
    status, body, _ = await site("GET", path, headers=bearer("shop-key"))

    assert (status, body["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", CHAT),
        ("/v1/completions", {"prompt": "a"}),
        ("/v1/embeddings", {"input": "a"}),
        ("/v1/responses", {"input": "a"}),
        ("/v1/generate", {"type": "echo"}),
        ("/v1/requests", {"type": "echo"}),
    ],
)
async def test_models_of_a_key_are_fixed(
    site: Site, handler: FakeRequestHandler, path: str, body: dict[str, Any]
) -> None:
    """A key with models of its own names those alone, and lists no others."""
    headers = bearer("small-key")
    allowed, _, _ = await site("POST", path, json=body | {"model": "other"}, headers=headers)
    asked = len(handler.asked)
    named, _, _ = await site("POST", path, json=body | {"model": "default"}, headers=headers)
    default, _, _ = await site("POST", path, json=body, headers=headers)
    _, models, _ = await site("GET", "/v1/models", headers=headers)

    # Without a name a record's prompt has its say: the router looks, once it knows the version.
    is_record = "type" in body
    assert allowed in (200, 202)
    assert (named, default in (200, 202)) == (403, is_record)
    assert len(handler.asked) == asked + (path == "/v1/generate")
    assert [model["id"] for model in models["data"]] == ["other"]


@pytest.mark.parametrize("stream", [False, True])
async def test_model_of_a_prompt_that_the_key_may_not_use_is_403(
    site: Site, handler: FakeRequestHandler, stream: bool
) -> None:
    """What the router finds out has the status that the door gives."""
    handler.failure = ModelForbidden("why")
    headers = bearer("small-key")

    status, body, _ = await site(
        "POST", "/v1/generate", json={"type": "echo", "stream": stream}, headers=headers
    )

    assert (status, body["error"]["code"]) == (403, "forbidden")


async def test_own_rate_of_a_key(site: Site) -> None:
    """Past its rate a key waits, others do not; reading costs nothing."""
    first, _, _ = await site("POST", "/v1/chat/completions", json=CHAT, headers=bearer("slow-key"))
    status, body, headers = await site(
        "POST", "/v1/chat/completions", json=CHAT, headers=bearer("slow-key")
    )
    other, _, _ = await site("POST", "/v1/chat/completions", json=CHAT, headers=bearer("shop-key"))
    reading, told, _ = await site("GET", "/v1/key", headers=bearer("slow-key"))

    assert (first, status, other, reading) == (200, 429, 200, 200)
    assert told["requests_per_minute"] == 1
    assert (body["error"]["code"], body["error"]["type"]) == ("rate_limited", "rate_limit_error")
    assert "it is 1 requests a minute, spread evenly; the next one in" in body["error"]["message"]
    assert 1 <= int(headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    ("path", "body", "failure"),
    [
        ("/v1/chat/completions", CHAT | {"model": "other"}, None),
        ("/v1/requests", {"type": "echo", "model": "other"}, None),
        ("/v1/requests", {"type": "echo", "metadata": {"tenant": "b"}}, None),
        ("/v1/generate", {"type": "echo"}, ModelForbidden("why")),
        ("/v1/dead-letters/replay", {"places": [{"partition": 0, "offset": 1}]}, None),
    ],
    ids=["model", "record's model", "tenant", "prompt's model", "scope"],
)
async def test_what_a_key_may_not_do_costs_it_nothing(
    serve: Serve,
    handler: FakeRequestHandler,
    path: str,
    body: dict[str, Any],
    failure: Exception | None,
) -> None:
    """A refusal is no request of its rate: the next one that is allowed is let in."""
    fields = {"tenant": "a", "models": ["default"], "requests_per_minute": 1}
    site = await serve(keys={"one": key("one-key", "infer", **fields)})
    handler.failure = failure

    refused = [await site("POST", path, json=body, headers=bearer("one-key")) for _ in range(2)]
    handler.failure = None
    wrong, _, _ = await site("POST", "/v1/chat/completions", json={}, headers=bearer("one-key"))
    late, _, _ = await site("POST", "/v1/chat/completions", json=CHAT, headers=bearer("one-key"))

    assert [status for status, _, _ in refused] == [403, 403]
    assert (wrong, late) == (422, 429)  # it was let in, and counts


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"json": CHAT | {"n": 30}}),
        ("/v1/completions", {"json": {"prompt": ["a"] * 10, "n": 3}}),
        (
            "/v1/requests",
            {
                "data": b'{"type":"echo"}\n' * 30,
                "headers": {"Content-Type": "application/jsonl"},
            },
        ),
        (
            "/v1/dead-letters/replay",
            {"json": {"places": [{"partition": 0, "offset": n} for n in range(30)]}},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_each_of_many_counts_for_the_rate(
    site: Site, path: str, body: dict[str, Any]
) -> None:
    """Samples, lines and replays are as many requests: the next one waits for all of them."""
    headers = bearer("slow-key", **body.pop("headers", {}))
    first, _, _ = await site("POST", path, headers=headers, **body)
    status, _, answered = await site(
        "POST", "/v1/chat/completions", json=CHAT, headers=bearer("slow-key")
    )

    assert (first in (200, 202), status) == (True, 429)
    assert 29 * 60 < int(answered["Retry-After"]) <= 30 * 60


async def test_author_is_the_key(site: Site) -> None:
    """Whoever changes a prompt by a named key cannot sign as somebody else."""
    body = {"body": "text", "author": "somebody else"}
    path = "/v1/prompts/fresh/versions"

    _, named, _ = await site("POST", path, json=body, headers=bearer("only-prompts"))
    body["body"] = "another text"
    _, unnamed, _ = await site("POST", path, json=body, headers=bearer("everything"))

    assert named["versions"][-1]["author"] == "prompts"
    assert unnamed["versions"][-1]["author"] == "somebody else"


async def test_author_is_told_to_its_own_team_alone(serve: Serve) -> None:
    """A key of one tenant learns no names of other keys from the registry that all share."""
    site = await serve(
        keys={
            "shop": key("shop-key", tenant="a"),
            "till": key("till-key", tenant="a"),
            "desk": key("desk-key", tenant="b"),
            "whole": key("whole-key"),
        }
    )
    path = "/v1/prompts/fresh"
    for name in ("shop", "desk", "whole"):
        headers = bearer(f"{name}-key")
        status, changed, _ = await site(
            "POST", f"{path}/versions", json={"body": f"by {name}"}, headers=headers
        )
        assert (status, changed["versions"][-1]["author"]) == (201, name)

    told = {}
    for name in ("shop", "till", "desk", "whole"):
        _, body, _ = await site("GET", path, headers=bearer(f"{name}-key"))
        told[name] = [version["author"] for version in body["versions"]]
        move = {"version": 1}
        _, moved, _ = await site(
            "PUT", f"{path}/labels/production", json=move, headers=bearer(f"{name}-key")
        )
        assert [version["author"] for version in moved["versions"]] == told[name]
    assert told == {
        "shop": ["shop", "", ""],
        "till": ["shop", "", ""],
        "desk": ["", "desk", ""],
        "whole": ["shop", "desk", "whole"],
    }


async def test_kafka_key_is_of_its_tenant(site: Site, producer: FakeRequestProducer) -> None:
    """Under another tenant's key, a record's time would tell of that one's; so it cannot be."""
    record = {"type": "echo", "text": "x"}

    for name in ("k", "b:k"):
        headers = bearer("shop-key", **{"Streamapp-Key": name})
        await site("POST", "/v1/requests", json=record, headers=headers)
    headers = bearer("everything", **{"Streamapp-Key": "k"})
    await site("POST", "/v1/requests", json=record, headers=headers)

    assert [key for _, key, _ in producer.posted] == [b"a:k", b"a:b:k", b"k"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_error_names_no_flows_to_one_tenant(site: Site, method: str) -> None:
    """Which flows there are is told to those that may see the whole group."""
    body = {"json": {"places": [{"partition": 0, "offset": 0}], "flow": "x"}}
    path = "/v1/dead-letters?flow=x" if method == "GET" else "/v1/dead-letters/replay"
    more: Any = body if method == "POST" else {}

    for key, told in (("shop-key", False), ("everything", True)):
        status, answer, _ = await site(method, path, headers=bearer(key), **more)
        assert (status, "labels" in answer["error"]["message"]) == (422, told)


async def test_document_of_topics_names_no_flows_to_one_tenant(serve: Serve) -> None:
    """The topics of flows are in the document of those that may see the whole group."""
    site = await serve(
        providers={"p": ProviderSettings(kind="offline")},
        models={"default": ModelSettings(targets=["p/m"])},
        keys={"shop": key("shop-key", tenant="a"), "all": key("all-key")},
        flows={
            "labels": {
                "input": "of-somebody",
                "output": "labels-out",
                "type": "summarize",
                "fields": {"text": "{{ value }}"},
            }
        },
    )

    for name in ("all-key", "shop-key", "all-key"):
        _, body, _ = await site("GET", "/asyncapi.json", headers=bearer(name))
        assert ("of-somebody" in json.dumps(body)) == (name == "all-key")


async def test_prompt_names_models_of_the_key_alone(site: Site) -> None:
    """A key cannot reach a model by publishing a prompt that asks it."""
    path = "/v1/prompts/mine/versions"
    asked = {"body": "hi", "settings": {"model": "default"}}

    status, answer, _ = await site("POST", path, json=asked, headers=bearer("small-key"))

    assert (status, answer["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize("key", ["everything", "shop-key"])
@pytest.mark.parametrize("id", [b"", b"\xff", b"a" * 201], ids=["empty", "no-text", "long"])
async def test_id_of_the_header_is_text(
    site: Site, producer: FakeRequestProducer, key: str, id: bytes
) -> None:
    """What no record could hold as its id is refused, with a tenant before it, too."""
    body = b'{"type":"echo"}'
    reader, writer = await asyncio.open_connection("127.0.0.1", site.app.conf.web_port)
    head = f"Host: localhost\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n".encode()
    writer.write(
        b"POST /v1/requests HTTP/1.1\r\n%bContent-Length: %d\r\nIdempotency-Key: %b\r\n\r\n%b"
        % (head, len(body), id, body)
    )
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b"Idempotency-Key" in answer
    assert producer.posted == []
