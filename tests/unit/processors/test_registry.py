"""Finding processors, and decoding records by them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.errors import ConfigurationError, Failure, InternalError, InvalidRecord, UnknownType
from streamapp.processors.registry import Processor, Registry, processor
from streamapp.records.request import Request
from tests.unit.records.test_codec import json_values

REGISTRY = Registry.load()

OWN = """
from streamapp.processors import processor
from streamapp.records.request import Request

class {name}(Request, type="{type}"):
    pass

@processor({name})
async def run(request, llm):
    return "own"
"""


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a module that can be imported in this test alone."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(name: str, source: str) -> str:
        (tmp_path / f"{name}.py").write_text(source)
        return name

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_every_type_of_the_contract_has_a_processor() -> None:
    """The seven built-in types are found by looking, not by a list."""
    assert REGISTRY.types == (
        "chat",
        "classify",
        "embed",
        "extract",
        "generate",
        "summarize",
        "translate",
    )


def test_a_users_module_joins_the_built_in_ones(write_module: Any) -> None:
    """A module named in the settings adds its type."""
    name = write_module("own_records", OWN.format(name="Haiku", type="haiku"))

    registry = Registry.load([name])

    assert registry.decode(b'{"type": "haiku"}').type == "haiku"
    assert set(registry.types) == {"haiku", *REGISTRY.types}


def test_a_processor_that_is_imported_counts_once(write_module: Any) -> None:
    """A module may import built-in processors without doubling them."""
    source = "from streamapp.processors.summarize import summarize\n" + OWN
    name = write_module("own_records", source.format(name="Haiku", type="haiku"))

    assert "haiku" in Registry.load([name, name]).types


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param(
            OWN.format(name="Mine", type="summarize"),
            "two processors for the record type 'summarize': streamapp.processors.summarize"
            ".summarize and own_records.run",
            id="type exists",
        ),
        pytest.param(
            "\nimport nothing_of_that_name",
            r"own_records.py:2: ModuleNotFoundError: .*nothing_of_that_name",
            id="import of its own",
        ),
        pytest.param("\n1 / 0", r"own_records.py:2: ZeroDivisionError", id="bug"),
        pytest.param(
            "import json\n\n\ndef read():\n    json.loads('{')\n\n\nread()",
            r"own_records.py:5: JSONDecodeError",
            id="bug in a library",
        ),
        pytest.param("def", "SyntaxError", id="syntax"),
        pytest.param("raise SystemExit(3)", "SystemExit: 3", id="script"),
        pytest.param("x = 1", "has no @processor", id="no processor"),
        pytest.param(
            OWN.replace("async def", "def").format(name="Haiku", type="haiku"),
            "must be an 'async def'",
            id="no coroutine",
        ),
        pytest.param(
            OWN.replace(", llm", "").format(name="Haiku", type="haiku"),
            "write 'async def NAME.request, llm.'",
            id="no client",
        ),
        pytest.param(
            OWN.replace(', type="{type}"', "").format(name="Haiku"),
            'write class Haiku.Request, type="..."',
            id="no type",
        ),
    ],
)
def test_a_wrong_module_is_a_configuration_error(
    write_module: Any, source: str, message: str
) -> None:
    """The worker does not start, and the message says what to change."""
    name = write_module("own_records", source)

    with pytest.raises(ConfigurationError, match=message):
        Registry.load([name])


@pytest.mark.parametrize("name", ["no_such_module", "no.such.module", "streamapp.no_such"])
def test_a_missing_module_is_a_configuration_error(name: str) -> None:
    """The message names the setting and the module."""
    with pytest.raises(ConfigurationError, match=f"STREAMAPP_PROCESSORS.*'{name}'"):
        Registry.load([name])


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        pytest.param(b'{"type": "nope"}', UnknownType, "there are chat, classify", id="unknown"),
        pytest.param(
            b'{"type": "sumarize"}', UnknownType, "did you mean 'summarize'", id="misspelt"
        ),
        pytest.param(
            b'{"type": "%s"}' % (b"summarize" * 99), UnknownType, "type; there are", id="long"
        ),
        pytest.param(b'{"text": "t"}', InvalidRecord, "'type' is missing", id="missing"),
        pytest.param(b'{"type": 1}', InvalidRecord, "'type' must be text", id="number"),
        pytest.param(b'{"type": ["chat"]}', InvalidRecord, "'type' must be text", id="list"),
        pytest.param(b'{"type": null}', InvalidRecord, "'type' must be text", id="null"),
    ],
)
def test_a_wrong_type_has_its_own_failure(value: bytes, error: type[Failure], message: str) -> None:
    """Missing and misshapen types are invalid, foreign ones unknown; none is quoted."""
    with pytest.raises(error, match=message) as caught:
        REGISTRY.decode(value)

    assert "nope" not in str(caught.value)


def test_a_bug_in_a_records_check_is_internal() -> None:
    """A validator that raises what no validator may does not reach the worker's loop."""

    class Buggy(Request, type="buggy"):
        def model_post_init(self, context: object, /) -> None:
            raise KeyError("canary")

    @processor(Buggy)
    async def run(request: Buggy, llm: object) -> None: ...

    with pytest.raises(InternalError, match="Buggy raised KeyError") as caught:
        Registry([run]).decode(b'{"type": "buggy"}')

    assert "canary" not in str(caught.value)


def test_the_decorator_gives_a_processor() -> None:
    """The coroutine stays reachable, so that it can be tested without an app."""

    class Plain(Request, type="plain"):
        pass

    @processor(Plain, prompt="own")
    async def plain(request: Plain, llm: object) -> str:
        return "output"

    assert isinstance(plain, Processor)
    assert (plain.type, plain.prompt) == ("plain", "own")


FIELDS = sorted(
    {name for type in REGISTRY.types for name in REGISTRY.processor_for(type).record.model_fields}
)


@given(
    type=st.sampled_from(REGISTRY.types),
    fields=st.dictionaries(st.sampled_from([*FIELDS, "schema"]), json_values, max_size=12),
)
def test_any_fields_of_any_type_decode_or_fail_by_name(type: str, fields: dict[str, Any]) -> None:
    """No record, however odd, raises anything but a failure."""
    try:
        request = REGISTRY.decode(json.dumps({**fields, "type": type}).encode())
    except Failure:
        return
    assert request.type == type
