"""Values of a flow's fields are held against its record type before the first record."""

from typing import Any

import pytest

from streamapp.errors import ConfigurationError
from streamapp.flows.file_flow import FileFlow
from streamapp.processors.registry import Registry
from streamapp.settings.flows import FlowSettings

REGISTRY = Registry.load()
CANARY = "canary-7f3a"


def flow(type: str, **fields: Any) -> FileFlow:
    """Return a flow with these fields."""
    table = FlowSettings(input="x", output="y", type=type, fields=fields)
    return FileFlow("labels", table, REGISTRY)


@pytest.mark.parametrize(
    ("type", "fields", "lines"),
    [
        pytest.param(
            "classify",
            {"text": "{{ value }}", "labels": CANARY},
            ["fields.labels: it is a text: write a list, as labels = [...]"],
            id="text-for-a-list",
        ),
        pytest.param(
            "classify",
            {"text": "{{ value }}", "labels": "{{ value.a }}, {{ value.b }}"},
            ["fields.labels: it is a text: write a list, as labels = [...]"],
            id="rendered-text-for-a-list",
        ),
        pytest.param(
            "classify",
            {"text": ["{{ value }}"], "labels": ["a", "b"]},
            ['fields.text: it is a list: write a text, as text = "..."'],
            id="list-with-a-template-for-a-text",
        ),
        pytest.param(
            "classify",
            {"text": "{{ value }}", "labels": ["a", 2]},
            ['fields.labels[1]: it is a number: write it in quotes, as "..."'],
            id="item",
        ),
        pytest.param(
            "classify",
            {"text": "{{ value }}", "labels": ["a", ["b"]]},
            ['fields.labels[1]: it is a list: write a text, as "..."'],
            id="list-for-an-item",
        ),
        pytest.param(
            "summarize",
            {"text": 3},
            ['fields.text: it is a number: write it in quotes, as text = "..."'],
            id="number-for-a-text",
        ),
        pytest.param(
            "classify",
            {"text": "{{ value }}", "labels": ["a", "a"]},
            ["fields.labels: must differ from each other"],
            id="rule-of-the-type",
        ),
        pytest.param(
            "summarize",
            {"text": "{{ value }}", "max_words": "50"},
            ["fields.max_words: it is a text: write a number without quotes"],
            id="quoted-number",
        ),
        pytest.param(
            "summarize",
            {"text": "{{ value }}", "max_words": 0, "metadata": "{{ value.a }}!"},
            [
                "fields.metadata: it is a text: write a table, as metadata = {...}",
                "fields.max_words: Input should be greater than or equal to 1",
            ],
            id="two",
        ),
        pytest.param(
            "chat",
            {"messages": [{"role": "user"}]},
            ["fields.messages[0].content: is missing: add it"],
            id="part-that-is-missing",
        ),
    ],
)
def test_wrong_constant_is_refused_with_what_to_write(
    type: str, fields: dict[str, Any], lines: list[str]
) -> None:
    """The line names the field and the kinds, never the value."""
    with pytest.raises(ConfigurationError) as caught:
        flow(type, **fields)

    assert str(caught.value).splitlines() == [f"[flows.labels] {line}" for line in lines]


@pytest.mark.parametrize(
    ("type", "fields"),
    [
        ("classify", {"text": "{{ value }}", "labels": "{{ value.labels }}"}),
        ("classify", {"text": "{{ value }}", "labels": ["{{ value.a }}", "{{ value.n }}"]}),
        ("classify", {"text": "{{ value }}", "labels": [" {{ value.a }} ", "{{ value.a }}"]}),
        ("summarize", {"text": "{{ value }}", "max_words": "{{ value.n }}"}),
        ("summarize", {"text": "{{ value }}", "deadline": "{{ value.day }}T00:00:00Z"}),
        ("chat", {"messages": [{"role": "{{ value.role }}", "content": "{{ value.text }}"}]}),
        ("chat", {"messages": [{"role": "user", "content": "Say {{ value.text }}"}]}),
        ("chat", {"messages": "{{ value.turns }}", "temperature": 0.5}),
    ],
)
def test_what_a_template_gives_is_left_to_the_record(type: str, fields: dict[str, Any]) -> None:
    """What can be right with a record is no mistake at start."""
    assert flow(type, **fields).name == "labels"
