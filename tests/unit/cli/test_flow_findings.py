import pytest

from streamapp.cli.flow_findings import flows
from streamapp.settings import Settings

TABLE = {
    "input": "shop.reviews",
    "output": "shop.labelled",
    "type": "classify",
    "fields": {"text": "{{ value.body }}", "labels": ["a", "b"]},
}


async def test_there_is_nothing_to_say_without_flows() -> None:
    """No flow, no finding."""
    assert await flows(Settings(_env_file=None), has_broker=False) == []


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"type": "nonsense"}, "[flows.labels] type: there is no record type 'nonsense'"),
        ({"format": "avro"}, "needs a schema registry: set STREAMAPP_SCHEMA_REGISTRY_URL"),
        ({"output": "shop.reviews"}, "flows go in a circle: shop.reviews -> shop.reviews"),
    ],
    ids=["type", "registry", "circle"],
)
async def test_what_is_wrong_with_a_flow_is_found(settings: dict[str, str], problem: str) -> None:
    """Each mistake is a finding of its own that names the flow or the topics."""
    found = await flows(
        Settings(_env_file=None, flows={"labels": TABLE | settings}), has_broker=False
    )

    assert [finding.ok for finding in found] == [False]
    assert problem in found[0].detail
