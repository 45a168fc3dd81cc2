"""Models and prompts that flows of the file name and that are not there."""

from typing import Any

import pytest

from streamapp.errors import ConfigurationError
from streamapp.flows.catalogue import load_flows
from streamapp.flows.references import unknown_prompts
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
