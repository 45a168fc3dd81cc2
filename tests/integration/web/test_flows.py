"""The list of flows, and their topics in the AsyncAPI document."""

from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from streamapp.flows.topics import FlowTopics
from streamapp.streaming.flows.state import FlowState

from .conftest import FakeFlowRates, FakeWorkerSnapshots, Serve

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
    """Lag, rate and dead letters are Kafka's; the cost is the sum over the workers."""
    other = FakeWorkerSnapshots()
    other.costs = {"labels": "0.25"}
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
            }
        ]
    }


@pytest.mark.parametrize("failure", [KafkaConnectionError(), TimeoutError()], ids=repr)
async def test_flows_without_a_broker_are_told_later(
    serve: Serve, rates: FakeFlowRates, failure: Exception
) -> None:
    """A broker that does not answer is no error of ours."""
    site = await serve()
    rates.failure = failure

    status, _, headers = await site("GET", "/v1/flows")

    assert (status, "Retry-After" in headers) == (503, True)


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
