"""Prompts of flows that are not there, at the start of a worker."""

from structlog.testing import capture_logs

from streamapp.bootstrap.flows import Flows
from streamapp.processors.registry import Registry
from streamapp.prompts.files import load_files
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings import Settings

TABLE = {"input": "x", "output": "y", "type": "summarize", "fields": {"text": "{{ value }}"}}


async def test_a_flow_whose_prompt_is_not_there_is_told_and_no_end() -> None:
    """Somebody may publish it while the worker runs; until then its records are dead letters."""
    flows = Flows.__new__(Flows)
    flows._registry = Registry.load()
    flows._settings = Settings(
        flows={
            "labels": TABLE | {"prompt": "nope"},
            "others": TABLE | {"input": "z", "output": "w", "prompt": "summarize"},
            "wrong": TABLE | {"input": "a", "output": "b", "prompt": "classify"},
        }
    )

    with capture_logs() as logs:
        await flows.look_for_prompts(PromptRegistry.of(load_files(flows._settings.prompts_dir)))

    line, unfilled = logs
    assert (line["event"], line["log_level"]) == ("flows.prompt_missing", "error")
    assert line["hint"].startswith("[flows.labels] prompt: there is no prompt 'nope'")
    assert (unfilled["event"], unfilled["log_level"]) == ("flows.prompt_unfilled", "error")
    assert unfilled["hint"].startswith(
        "[flows.wrong] prompt: 'classify' needs the variable 'labels'"
    )
