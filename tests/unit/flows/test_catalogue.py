from typing import Any

import pytest

from streamapp.errors import ConfigurationError
from streamapp.flows.catalogue import in_order, load_flows
from streamapp.flows.file_flow import FileFlow
from streamapp.processors.registry import Registry
from streamapp.settings import FlowSettings, Settings

REGISTRY = Registry.load()


def _table(input: str, output: str, **others: Any) -> dict[str, Any]:
    fields = {"text": "{{ value }}"}
    return {"input": input, "output": output, "type": "summarize", "fields": fields, **others}


def _load(**tables: dict[str, Any]) -> list[str]:
    return [flow.name for flow in load_flows(Settings(flows=tables), REGISTRY)]


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        (
            {"a": _table("x", "y"), "b": _table("y", "x")},
            "flows go in a circle: x -> y -> x",
        ),
        ({"a": _table("x", "x")}, "flows go in a circle: x -> x"),
        (
            {
                "a": _table("w", "x"),
                "b": _table("x", "y"),
                "c": _table("y", "z"),
                "d": _table("z", "x2"),
            }
            | {"e": _table("x2", "y2"), "f": _table("y2", "x3"), "g": _table("x3", "w")},
            "flows go in a circle: w -> x -> y -> z -> x2 -> y2 -> x3 -> w",
        ),
        (
            {"a": _table("x", "z"), "b": _table("y", "z")},
            "[flows.b] output: z is written by the flow 'a' already",
        ),
        (
            {"a": _table("x", "y"), "b": _table("x", "z")},
            "[flows.b] input: the flow 'a' reads x already: run one of them in workers of another"
            " STREAMAPP_APP_ID and STREAMAPP_TOPIC_PREFIX",
        ),
        (
            {"a": _table("llm.requests", "y")},
            "[flows.a] input: the flow 'requests' reads llm.requests already",
        ),
        (
            {"a": _table("x", "llm.responses")},
            "[flows.a] output: llm.responses is written by streamapp itself already",
        ),
        (
            {"a": _table("x", "llm.requests-dlt")},
            "[flows.a] output: llm.requests-dlt is written by streamapp itself already",
        ),
        (
            {"a": _table("x", "y", dead_letters="llm.requests-dlt")},
            "[flows.a] dead_letters: llm.requests-dlt is written by streamapp itself",
        ),
        (
            {"a": _table("x", "streamapp-answers-a-changelog")},
            "[flows.a]: streamapp-answers-a-changelog is a changelog of streamapp itself",
        ),
        ({"requests": _table("x", "y")}, "the name is that of the built-in flow"),
        (
            {"a": _table("x", "y", reply_topics=("z",)), "b": _table("z", "x")},
            "flows go in a circle: x -> z -> x",
        ),
        (
            {"a": _table("llm.responses", "llm.requests")},
            "flows go in a circle: llm.requests -> llm.responses -> llm.requests",
        ),
        (
            {"a": _table("v", "w", reply_topics=("z",)), "b": _table("y", "z")},
            "[flows.a] reply_topics: z is written by the flow 'b' already",
        ),
        (
            {"a": _table("x", "y", reply_topics=("llm.responses",))},
            "[flows.a] reply_topics: llm.responses is written by streamapp itself already",
        ),
        (
            {"a": _table("x", "y", dead_letters="z", reply_topics=("z",))},
            "[flows.a] dead_letters: z is an input or output of a flow",
        ),
        (
            {"a": _table("x", "y", dead_letters="y")},
            "[flows.a] dead_letters: y is an input or output of a flow",
        ),
    ],
)
def test_flows_that_do_not_go_together_end_the_start(
    tables: dict[str, dict[str, Any]], problem: str
) -> None:
    """Circles, and topics with two readers or two writers, are refused with their names."""
    with pytest.raises(ConfigurationError) as raised:
        _load(**tables)

    assert problem in str(raised.value)


def test_flows_stand_after_those_that_they_read_from() -> None:
    """A chain is in its order, so that the topics of one exist before the next is looked at."""
    assert _load(c=_table("y", "z"), b=_table("x", "y"), a=_table("w", "x")) == ["a", "b", "c"]


def test_flows_may_reply_to_one_topic() -> None:
    """Answers to who asks may come together where the asker reads them."""
    assert _load(
        a=_table("v", "w", reply_topics=("z",)), b=_table("x", "y", reply_topics=("z",))
    ) == ["a", "b"]


def test_a_flow_may_write_requests_for_the_built_in_one() -> None:
    """The requests' own topic is a topic to write to as any other."""
    assert _load(a=_table("x", "llm.requests")) == ["a"]


def test_every_wrong_flow_is_told() -> None:
    """Mistakes of several tables come in one message."""
    wrong = {"type": "nope"}
    with pytest.raises(ConfigurationError) as raised:
        _load(a=_table("x", "y") | wrong, b=_table("y", "z") | wrong)

    assert "[flows.a]" in str(raised.value)
    assert "[flows.b]" in str(raised.value)


def test_flows_that_do_not_go_together_are_told_beside_what_is_wrong_with_each() -> None:
    """A circle is named at once, not once the other mistakes of its flows are mended."""
    wrong = {"type": "nope"}
    with pytest.raises(ConfigurationError) as raised:
        _load(a=_table("x", "y") | wrong, b=_table("y", "x"))

    assert [line.partition(":")[0] for line in str(raised.value).splitlines()] == [
        "[flows.a] type",
        "flows go in a circle",
    ]


def test_order_of_nothing() -> None:
    """Without flows there is nothing to order."""
    assert in_order([]) == []
    assert FlowSettings(**_table("x", "y")).dead_letter_topic == "x-dlt"
    assert FileFlow("a", FlowSettings(**_table("x", "y")), REGISTRY).start == "latest"
