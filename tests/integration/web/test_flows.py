"""The list of flows, and their topics in the AsyncAPI document."""

from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from streamapp.flows.topics import FlowTopics
from streamapp.streaming.app.health import Check
from streamapp.streaming.flows.input_records import InputRecord
from streamapp.streaming.flows.state import FlowState

from .conftest import FakeFlowRates, FakeHealth, FakeInputRecords, FakeWorkerSnapshots, Serve

LABELS = FlowTopics("shop.reviews", ("shop.labelled",), "shop.reviews-dlt", ("shop.replies",))
TABLE: dict[str, Any] = {
    "input": "shop.reviews",
    "output": "shop.labelled",
    "reply_topics": ["shop.replies"],
    "type": "summarize",
    "fields": {"text": "{{ value }}"},
}


async def test_flows_are_listed_with_what_all_workers_spent(
    serve: Serve, rates: FakeFlowRates, snapshots: FakeWorkerSnapshots
) -> None:
    """Lag, rate and dead letters are Kafka's; the cost is the sum over the workers.

    Which count from their start: the last one says how much of the day is in it for all.
    """
    other = FakeWorkerSnapshots()
    other.costs, other.uptime_s = {"labels": "0.25"}, 60.0
    site = await serve(own_snapshots=other)
    snapshots.others, snapshots.costs = (site.url,), {"labels": "0.125"}
    site = await serve(others=[site.url])
    rates.found = [(FlowState("labels", LABELS, 3, 100, 7, 2), 12.5)]

    status, body, _ = await site("GET", "/v1/flows")

    assert status == 200
    assert body == {
        "flows": [
            {
                "name": "labels",
                "input": "shop.reviews",
                "outputs": ["shop.labelled"],
                "reply_topics": ["shop.replies"],
                "dead_letter_topic": "shop.reviews-dlt",
                "partitions": 3,
                "lag": 7,
                "rate_per_s": 12.5,
                "dead_letters": 2,
                "cost_usd_day": "0.375",
                "unpriced_day": 0,
                "cost_counted_s": 60.0,
            }
        ],
        "missing": 0,
    }


async def test_workers_whose_costs_are_missing_are_counted(
    serve: Serve, rates: FakeFlowRates, snapshots: FakeWorkerSnapshots
) -> None:
    """One that does not answer, and those behind the address of another one."""
    snapshots.others, snapshots.sharing = ("http://127.0.0.1:1",), {"own": 3}
    rates.found = [(FlowState("labels", LABELS, 3, 100, 7, 2), 12.5)]
    site = await serve()

    _, body, _ = await site("GET", "/v1/flows")

    assert isinstance(body, dict)
    assert body["missing"] == 3


@pytest.mark.parametrize(
    ("costs", "cost"), [({}, None), ({"labels": "0.125"}, "0.125")], ids=["alone", "beside"]
)
async def test_answers_without_a_price_are_told_and_not_taken_for_nothing(
    serve: Serve,
    rates: FakeFlowRates,
    snapshots: FakeWorkerSnapshots,
    costs: dict[str, str],
    cost: str | None,
) -> None:
    """Where there are those alone, the cost is null."""
    snapshots.costs, snapshots.unpriced = costs, {"labels": 1_550}
    rates.found = [(FlowState("labels", LABELS, 3, 100, 7, 2), 12.5)]
    site = await serve()

    _, body, _ = await site("GET", "/v1/flows")

    assert isinstance(body, dict)
    [flow] = body["flows"]
    assert (flow["cost_usd_day"], flow["unpriced_day"]) == (cost, 1_550)


@pytest.mark.parametrize("failure", [KafkaConnectionError(), TimeoutError()], ids=repr)
async def test_flows_without_a_broker_are_told_later(
    serve: Serve, rates: FakeFlowRates, failure: Exception
) -> None:
    """A broker that does not answer is no error of ours."""
    site = await serve()
    rates.failure = failure

    status, _, headers = await site("GET", "/v1/flows")

    assert (status, "Retry-After" in headers) == (503, True)


async def test_a_record_of_an_input_is_shown(serve: Serve, inputs: FakeInputRecords) -> None:
    """As its producer wrote it; bytes that are no text are shown as far as they are."""
    headers = (("traceparent", b"00-a"), ("traceparent", b"\xff"))
    record = InputRecord("shop.reviews", 3, 17, 5.0, b"k", b'{"body": 1}', headers)
    inputs.found["labels", 3, 17] = record
    site = await serve()

    status, body, _ = await site("GET", "/v1/flows/labels/records/3/17")

    assert status == 200
    assert body == {
        "topic": "shop.reviews",
        "partition": 3,
        "offset": 17,
        "at": 5.0,
        "key": "k",
        "headers": [
            {"name": "traceparent", "value": "00-a"},
            {"name": "traceparent", "value": "\N{REPLACEMENT CHARACTER}"},
        ],
        "record": '{"body": 1}',
    }


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("labels/records/3/18", 404),
        ("nowhere/records/3/17", 404),
        ("labels/records/x/17", 422),
        ("labels/records/3/-1", 422),
        (f"labels/records/{2**31}/1", 422),
    ],
)
async def test_a_place_without_a_record_is_told(serve: Serve, place: str, expected: int) -> None:
    """What is gone or never was is 404; what is no place is 422."""
    site = await serve()

    status, body, _ = await site("GET", f"/v1/flows/{place}")

    assert (status, body["error"]["code"]) == (
        expected,
        {404: "not_found", 422: "invalid"}[expected],
    )


async def test_asyncapi_has_the_topics_of_flows(serve: Serve) -> None:
    """Inputs are received, outputs, replies and dead letters sent; a chain's topic is both."""
    chained = {**TABLE, "input": "shop.labelled", "output": "llm.requests", "reply_topics": []}
    site = await serve(flows={"labels": TABLE, "next": chained | {"format": "avro"}})

    _, document, _ = await site("GET", "/asyncapi.json")

    found = {
        (operation["action"], document["channels"][channel]["address"])
        for name, operation in document["operations"].items()
        if "labels" in name or "next" in name
        for channel in [operation["channel"]["$ref"].removeprefix("#/channels/")]
    }
    assert found == {
        ("receive", "shop.reviews"),
        ("send", "shop.labelled"),
        ("send", "shop.replies"),
        ("send", "shop.reviews-dlt"),
        ("receive", "shop.labelled"),
        ("send", "llm.requests"),
        ("send", "shop.labelled-dlt"),
    }
    message = document["channels"]["shop.labelled"]["messages"]["record"]
    assert message["payload"] == {"$ref": "#/components/schemas/Response"}
    assert "streamapp-id" in message["headers"]["required"]


@pytest.mark.parametrize("path", ["/v1/flows", "/v1/flows/labels/records/3/17", "/v1/dead-letters"])
async def test_what_stands_on_topics_is_shown_by_a_worker_that_waits_for_its_group(
    serve: Serve, health: FakeHealth, inputs: FakeInputRecords, path: str
) -> None:
    """In an incident somebody wants to look; only what is done needs a worker that is ready."""
    inputs.found["labels", 3, 17] = InputRecord("shop.reviews", 3, 17, 5.0, b"k", b"{}", ())
    health.ready["assigned"] = Check(False, "waiting for the group")
    site = await serve()

    assert (await site("GET", path))[0] == 200
    assert (await site("POST", "/v1/dead-letters/replay", json={"places": []}))[0] == 503
