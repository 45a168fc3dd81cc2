"""A switch is no number: pydantic takes true for 1."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from streamapp.errors import ConfigurationError
from streamapp.settings import Settings
from streamapp.settings.loading import load_settings


def numbers(fields: Mapping[str, FieldInfo], at: str = "") -> Iterator[str]:
    """Yield the dotted key of each number of the file; tables of the operator's are named x."""
    for name, field in fields.items():
        kinds = get_args(field.annotation) or (field.annotation,)
        if any(kind in (int, float, Decimal) for kind in kinds):
            yield f"{at}{name}"
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                below = f"{at}{name}.x." if get_origin(field.annotation) is dict else f"{at}{name}."
                yield from numbers(kind.model_fields, below)


NUMBERS = list(numbers(Settings.model_fields))


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("value", ["true", "false"])
def test_a_switch_is_refused_as_a_number(key: str, value: str) -> None:
    """With its place, for every number of every table."""
    Path("streamapp.toml").write_text(f"# A switch.\n{key} = {value}\n")

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    *tables, name = key.split(".")
    place = f"[{'.'.join(tables)}] {name}" if tables else name
    assert (
        f"streamapp.toml:2: {place}: write a number: true and false are none"
        in str(caught.value).splitlines()
    )


def test_every_table_has_numbers() -> None:
    """What the test above goes through is all there is."""
    assert {
        "max_in_flight",
        "deadline_s",
        "providers.x.models.x.price.input",
        "budgets.x.limit_usd",
        "keys.x.requests_per_minute",
        "flows.x.weight",
        "mcp.x.timeout_s",
    } <= set(NUMBERS)


def test_a_switch_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also within what is handed on as it is; and numbers in texts are those of variables."""
    monkeypatch.setenv("STREAMAPP_MAX_IN_FLIGHT", "8")
    text = "kafka_allow_plaintext_sasl = true\n[providers.x]\nkind = 'openai'\n"
    text += "show_errors = true\nextra_body = { n = true }\n"
    Path("streamapp.toml").write_text(f"{text}[models.default]\ntargets = ['x/m']\n")

    settings: Any = load_settings()

    assert settings.kafka_allow_plaintext_sasl
    assert settings.providers["x"].show_errors
    assert settings.providers["x"].extra_body == {"n": True}
    assert settings.max_in_flight == 8
