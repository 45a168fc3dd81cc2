"""Problems found after the file was read are named by their place in it as well."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from streamapp.bootstrap import create_app
from streamapp.cli import main
from streamapp.errors import ConfigurationError
from streamapp.settings.loading import load_settings

FLOW = """\
[flows.labels]
input = "shop.reviews"
type = "classify"
output = "shop.labelled"
[flows.labels.fields]
text = "{{ value.body }}"
"""
PROVIDER = '[providers.p]\nkind = "openai"\n[models.default]\ntargets = ["p/m.1"]\n'
TOOLS = '[mcp.shop]\nallow = ["*"]\n\ncommand = ["no-such-program"]\n'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(
            f'{FLOW}labels = "delivery"\n',
            "streamapp.toml:7: [flows.labels.fields] labels: it is a text: write a list",
            id="constant",
        ),
        pytest.param(
            f'{FLOW}labels = ["delivery", 2]\n',
            "streamapp.toml:7: [flows.labels.fields] labels[1]: it is a number: write it in quotes",
            id="item",
        ),
        pytest.param(
            FLOW.replace("value.body", "valeu.body") + 'labels = ["a", "b"]\n',
            "streamapp.toml:6: [flows.labels.fields] text: there is no 'valeu'",
            id="template",
        ),
        pytest.param(
            FLOW,
            "streamapp.toml:5: [flows.labels] fields: 'classify' needs the field 'labels'",
            id="field-that-is-missing",
        ),
        pytest.param(
            FLOW.replace("shop.labelled", "shop.reviews") + 'labels = ["a", "b"]\n',
            "flows go in a circle: shop.reviews -> shop.reviews",
            id="of-no-place",
        ),
        pytest.param(
            f'{PROVIDER}[providers.p.extra_headers]\nx-team = "a"\nAuthorization = "b"\n',
            "streamapp.toml:7: [providers.p.extra_headers] Authorization: keys come from",
            id="header of a key",
        ),
        pytest.param(
            f'{PROVIDER}[providers.p.extra_headers]\nx-team = "a"\nHost = "b"\n',
            "streamapp.toml:7: [providers.p.extra_headers] Host: it is set by streamapp",
            id="header",
        ),
        pytest.param(
            f'{PROVIDER}[providers.p.extra_headers]\nx-team = "\u00e9"\n',
            "streamapp.toml:6: [providers.p.extra_headers] x-team: write a text of printable",
            id="value-of-a-header",
        ),
        pytest.param(
            f"{PROVIDER}[providers.p.extra_body]\nstream = true\n",
            "streamapp.toml:6: [providers.p.extra_body] stream: it is set by each call",
            id="field-of-the-body",
        ),
    ],
)
def test_worker_and_check_name_the_place(
    text: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both say the same, so that the line can be looked up; `check` says it once."""
    monkeypatch.setenv("STREAMAPP_BROKER", "kafka://127.0.0.1:1")
    Path("streamapp.toml").write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        create_app(load_settings())
    checked = CliRunner().invoke(main, ["check"])

    assert any(one.startswith(line) for one in str(caught.value).splitlines())
    assert checked.output.count(line) == 1


def test_program_that_is_not_there_is_named_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for what `check` alone looks for."""
    monkeypatch.setenv("STREAMAPP_BROKER", "kafka://127.0.0.1:1")
    Path("streamapp.toml").write_text(TOOLS)

    output = CliRunner().invoke(main, ["check"]).output

    assert "streamapp.toml:4: [mcp.shop] command: there is no program 'no-such-program'" in output


def test_what_the_environment_sets_is_not_looked_for_in_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A variable wins over the file, so the place there would mislead."""
    Path("streamapp.toml").write_text(f'{FLOW}labels = ["a", "b"]\n')
    monkeypatch.setenv("STREAMAPP_FLOWS__LABELS__TYPE", "nonsense")

    with pytest.raises(ConfigurationError) as caught:
        create_app(load_settings())

    assert str(caught.value).startswith("[flows.labels] type: there is no record type 'nonsense'")
