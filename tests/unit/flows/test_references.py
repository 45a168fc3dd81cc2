"""Models and prompts that flows of the file name and that are not there."""

from pathlib import Path
from typing import Any

import pytest

from streamapp.errors import ConfigurationError
from streamapp.flows.catalogue import load_flows
from streamapp.flows.references import unfilled_prompts, unknown_prompts
from streamapp.processors.registry import Registry
from streamapp.prompts.files import load_files
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings import FlowSettings, ModelSettings, Settings

TABLE: dict[str, Any] = {
    "input": "x",
    "output": "y",
    "type": "summarize",
    "fields": {"text": "{{ value }}"},
}


def test_a_model_that_is_no_route_is_named() -> None:
    """With the routes there are, before a record comes."""
    models = {name: ModelSettings(targets=["offline/x"]) for name in ("default", "large")}
    settings = Settings(flows={"labels": TABLE | {"model": "larg"}}).model_copy(
        update={"models": models}
    )

    with pytest.raises(ConfigurationError) as caught:
        load_flows(settings, Registry.load())

    assert str(caught.value) == (
        "[flows.labels] model: there is no model 'larg', did you mean 'large'?; use one of"
        " default, large, or add [models.larg]"
    )


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        ("sumarize", "there is no prompt 'sumarize', did you mean 'summarize'?; add sumarize.md"),
        ("summarize@nope", "prompt 'summarize': there is no such label"),
        ("Sum it up", "names a stored prompt; for free text use a record of type 'chat'"),
    ],
)
def test_a_prompt_that_is_not_there_is_named(prompt: str, problem: str) -> None:
    """Each of its records would be a dead letter."""
    flows = {"labels": FlowSettings.model_validate(TABLE | {"prompt": prompt})}
    settings = Settings()

    [line] = unknown_prompts(flows, PromptRegistry.of(load_files(settings.prompts_dir)))

    assert line.startswith(f"[flows.labels] prompt: {problem}")


@pytest.mark.parametrize("prompt", [None, "summarize", "summarize@production", "summarize:1"])
def test_a_prompt_that_is_there_is_no_problem(prompt: str | None) -> None:
    """By each form of a reference."""
    flows = {"labels": FlowSettings.model_validate(TABLE | {"prompt": prompt})}

    prompts = PromptRegistry.of(load_files(Settings().prompts_dir))
    assert list(unknown_prompts(flows, prompts)) == []


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        (
            {"type": "generate", "fields": {"variables": {"bdoy": "{{ value.body }}"}}},
            ["needs the variable 'body', and the flow gives bdoy"],
        ),
        (
            {"type": "generate", "fields": {}},
            ["needs the variable 'body', and the flow gives none"],
        ),
        ({"type": "generate", "fields": {"variables": {"body": "{{ value }}", "more": 1}}}, []),
        ({"type": "generate", "fields": {"variables": "{{ value }}"}}, []),
        ({}, ["needs the variable 'body', and the flow gives max_words, text"]),
        ({"type": "own"}, []),
        ({"prompt": "nope"}, []),
    ],
    ids=["misspelt", "none", "given", "of the record", "another type", "own type", "no prompt"],
)
def test_a_variable_that_a_prompt_needs_and_no_record_will_have_is_named(
    tmp_path: Path, table: dict[str, Any], lines: list[str]
) -> None:
    """A flow's variables stand in the file; what a branch alone has may never be asked for."""
    branches = (
        "{% if tone is defined %}{{ detail }}{% for one in many %}{{ one }}{{ each }}{% endfor %}"
        "{% endif %}{{ far if tone is defined }}{{ tone is defined and near }}"
    )
    always = "{% if tone is defined %}A {{ body }}{% else %}{{ body | trim }}{{ more }}{% endif %}"
    (tmp_path / "pp.md").write_text(always + branches)
    flows = {"labels": FlowSettings.model_validate({**TABLE, "prompt": "pp", **table})}

    prompts = PromptRegistry.of(load_files(tmp_path))
    found = list(unfilled_prompts(flows, prompts, Registry.load()))

    assert found == [f"[flows.labels] prompt: 'pp' {line}" for line in lines]
