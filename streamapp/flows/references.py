"""The models and prompts that flows of the file name, looked for before any record comes."""

import re
from collections.abc import Iterable, Iterator, Mapping

from streamapp.errors import PromptNotFound
from streamapp.prompts.reference import Reference
from streamapp.prompts.registry import PromptRegistry
from streamapp.records.problems import near
from streamapp.settings.flows import FlowSettings


def unknown_models(flows: Mapping[str, FlowSettings], models: Iterable[str]) -> Iterator[str]:
    """Yield a line for each flow whose model is no route.

    Args:
        flows: As the operator wrote them.
        models: The names of the routes.
    """
    known = list(models)
    for name, flow in flows.items():
        if flow.model is not None and flow.model not in known:
            yield (
                f"[flows.{name}] model: there is no model '{flow.model}'{near(flow.model, known)};"
                f" use one of {', '.join(known)}, or add [models.{flow.model}]"
            )


def unknown_prompts(flows: Mapping[str, FlowSettings], prompts: PromptRegistry) -> Iterator[str]:
    """Yield a line for each flow whose prompt is not there, whose records would all fail.

    Args:
        flows: As the operator wrote them.
        prompts: All there are by now.
    """
    for name, flow in flows.items():
        if flow.prompt is None:
            continue
        try:
            prompts.resolve(flow.prompt, sticky=b"")
        except PromptNotFound as error:
            yield f"[flows.{name}] prompt: {_problem(flow.prompt, prompts, error)}"


def _problem(written: str, prompts: PromptRegistry, error: PromptNotFound) -> str:
    try:
        wanted = Reference.parse(written).name
    except PromptNotFound:
        wanted = None
    if wanted is None or wanted in prompts:
        return re.sub(r"^field 'prompt':? ", "", str(error))
    return (
        f"there is no prompt '{wanted}'{near(wanted, prompts.names)}; add {wanted}.md to the"
        " prompts, or publish it (`streamapp prompts publish FILE`)"
    )
