"""The documents tell of the interface as it is."""

from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator
from pydantic import Field

from streamapp.cli import demo_agent
from streamapp.cli.samples import samples
from streamapp.records.request import Request
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import topic_specs
from streamapp.web.middleware import OPEN_PATHS

from .conftest import Serve, Site


class Wide(Request, type="wide"):
    """A record whose number has more than 64 bits."""

    size: int = Field(le=2**64)


@pytest.fixture
async def site(serve: Serve) -> Site:
    """A worker without keys."""
    return await serve()


async def test_openapi_lists_every_route(site: Site) -> None:
    """Each registered route is in the document and the other way round, HEAD apart."""
    routes = {
        (route.method, route.resource.canonical)
        for route in cast(Any, site.app.web).web_app.router.routes()
        if route.method != "HEAD"
    }

    _, document, _ = await site("GET", "/openapi.json")

    listed = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert listed == routes


async def test_openapi_says_which_routes_are_open(site: Site) -> None:
    """What the document calls open is what passes without a key."""
    _, document, _ = await site("GET", "/openapi.json")

    is_open = {
        path
        for path, item in document["paths"].items()
        if item.get("get", {}).get("security") == []
    }
    assert is_open == OPEN_PATHS & set(document["paths"])


def resolved(document: Any, schema: Any) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})


async def test_schema_of_records_is_the_one_that_is_enforced(site: Site) -> None:
    """The samples of every built-in type fit; a wrong one does not."""
    _, document, _ = await site("GET", "/openapi.json")

    record = resolved(document, {"$ref": "#/components/schemas/Record"})

    assert [
        problem
        for sample in samples().values()
        if sample["type"] != demo_agent.SAMPLE["type"]  # the demo's own type, not of this site
        for problem in record.iter_errors(sample)
    ] == []
    assert not record.is_valid({"type": "summarize", "text": "x", "more": 1})
    assert not record.is_valid({"type": "nothing"})


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
async def test_record_with_a_bound_of_many_digits_is_described(serve: Serve, path: str) -> None:
    """A processor of your own may take numbers past 64 bits."""
    site = await serve(own_records={"wide": Wide})

    status, document, _ = await site("GET", path)

    assert status == 200
    assert document["components"]["schemas"]["Wide"]["properties"]["size"]["maximum"] == 2**64


async def test_asyncapi_lists_every_topic(site: Site) -> None:
    """Each topic that is created, but for the tables' own, has a channel with its partitions."""
    _, document, _ = await site("GET", "/asyncapi.json")

    channels = {
        channel["address"]: channel["bindings"]["kafka"]["partitions"]
        for channel in document["channels"].values()
    }
    created = {spec.name: spec.partitions for spec in topic_specs(Settings(_env_file=None))}
    assert {name: count for name, count in created.items() if name.startswith("llm.")} == channels
    assert all(
        operation["channel"]["$ref"].rpartition("/")[2] in document["channels"]
        for operation in document["operations"].values()
    )


async def test_docs_page_loads_nothing_from_elsewhere(site: Site) -> None:
    """The page holds its script and style, each allowed by its hash alone."""
    _, body, headers = await site("GET", "/docs")

    assert "/*SCRIPT*/" not in body
    assert "http://" not in body.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in body
    assert headers["Content-Security-Policy"].count("sha256-") == 2
