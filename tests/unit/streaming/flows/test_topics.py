from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from streamapp.errors import ConfigurationError
from streamapp.flows.catalogue import load_flows
from streamapp.flows.flow import Flow
from streamapp.processors.registry import Registry
from streamapp.settings import FlowSettings, Settings
from streamapp.streaming.flows.topics import (
    compacted_among,
    compacted_outputs,
    flow_topic_names,
    missing_inputs,
)


def _flows() -> tuple[Settings, list[Flow]]:
    def table(input: str, output: str) -> FlowSettings:
        fields = {"text": "{{ value }}"}
        return FlowSettings(input=input, output=output, type="summarize", fields=fields)

    settings = Settings(flows={"b": table("y", "z"), "a": table("x", "y")})
    return settings, load_flows(settings, Registry.load())


def test_the_topics_of_a_chain() -> None:
    """Every input, output, dead letter topic and changelog, each once, in the chain's order."""
    settings, flows = _flows()

    assert flow_topic_names(settings, flows) == [
        "x",
        "y",
        "x-dlt",
        "streamapp-answers-a-changelog",
        "z",
        "y-dlt",
        "streamapp-answers-b-changelog",
    ]


def test_an_input_must_exist_unless_a_flow_writes_it() -> None:
    """Only the first topic of a chain is asked for."""
    _, flows = _flows()
    by_name = {flow.name: flow for flow in flows}

    [problem] = missing_inputs(by_name, existing=["unrelated"])

    assert problem == "[flows.a] input: there is no topic x: create it, or mend the name"
    assert missing_inputs(by_name, existing=["x"]) == []


def test_compacted_outputs_are_known() -> None:
    """They are the user's to compact, for they take what has a key."""
    _, flows = _flows()
    configs = {"y": {"cleanup.policy": "compact,delete"}, "z": {"cleanup.policy": "delete"}}

    assert compacted_among(flows, configs) == {"y"}


async def test_compacted_changelog_of_a_flow_is_told() -> None:
    """An earlier version made it; it is none of the topics that take no record without a key."""
    settings, flows = _flows()
    changelog = "streamapp-answers-a-changelog"

    async def ask(settings: Settings, names: Sequence[str]) -> dict[str, dict[str, str]]:
        assert changelog in names
        return {name: {"cleanup.policy": "compact,delete"} for name in ("y", changelog)}

    with capture_logs() as lines:
        assert await compacted_outputs(settings, flows, ask=ask) == {"y"}

    [line] = lines
    assert line["event"] == "topics.unfit"
    assert line["reason"].startswith(f"topic {changelog} is compacted")


def test_compacted_dead_letters_end_the_start() -> None:
    """Of equal keys all but the last would vanish."""
    _, flows = _flows()

    with pytest.raises(ConfigurationError, match=r"^\[flows\.a\] dead_letters: x-dlt is compacted"):
        compacted_among(flows, {"x-dlt": {"cleanup.policy": "compact"}})
