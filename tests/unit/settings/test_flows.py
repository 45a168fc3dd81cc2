from typing import Any

import pytest

from streamapp.errors import ConfigurationError
from streamapp.settings.loading import load_settings


def _wrong(**flow: Any) -> str:
    table = {"input": "x", "output": "y", "type": "classify"} | flow
    with pytest.raises(ConfigurationError) as raised:
        load_settings(flows={"labels": table})
    return str(raised.value)


@pytest.mark.parametrize(
    ("flow", "problem"),
    [
        ({"shape": "merge", "format": "text"}, 'shape = "merge" needs values with fields'),
        ({"merge_into": "label"}, 'merge_into belongs to shape = "merge"'),
        ({"output_format": "text"}, 'output_format = "text" needs shape = "output"'),
        (
            {"format": "xml"},
            "STREAMAPP_FLOWS__LABELS__FORMAT: Input should be 'json', 'text', 'avro'",
        ),
        ({"unwrap": "debezium", "format": "text"}, "unwrap needs values with fields"),
        ({"output_schema": "label.avsc"}, "output_schema belongs to output_format"),
        ({"register_schemas": True}, "register_schemas belongs to an output_format with a schema"),
        ({"from": "now"}, "STREAMAPP_FLOWS__LABELS__FROM"),
        ({"input": "a topic"}, "STREAMAPP_FLOWS__LABELS__INPUT"),
        ({"shap": "merge"}, "did you mean STREAMAPP_FLOWS__LABELS__SHAPE?"),
    ],
)
def test_a_wrong_table_is_told_with_its_setting(flow: dict[str, Any], problem: str) -> None:
    """What does not go together in one flow's table is named with what to write."""
    assert problem in _wrong(**flow)


def test_from_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow's settings have names in the environment as others do."""
    monkeypatch.setenv("STREAMAPP_FLOWS__LABELS__FROM", "earliest")

    settings = load_settings(flows={"labels": {"input": "x", "output": "y", "type": "classify"}})

    assert settings.flows["labels"].from_ == "earliest"
