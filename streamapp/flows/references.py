"""The models and prompts that flows of the file name, looked for before any record comes."""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import suppress

from streamapp.errors import PromptNotFound, UnknownType
from streamapp.processors.registry import Registry
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


def unfilled_prompts(
    flows: Mapping[str, FlowSettings], prompts: PromptRegistry, registry: Registry
) -> Iterator[str]:
    """Yield a line for each variable that a flow's prompt needs and its requests do not give.

    One that stands in a branch or a loop alone may never be looked at.

    Args:
        flows: As the operator wrote them.
        prompts: All there are by now; one that is not there is told by `unknown_prompts`.
        registry: Knows the fields of the record types.
    """
    for name, flow in flows.items():
        if flow.prompt is None or (given := _given(flow, registry)) is None:
            continue
        with suppress(PromptNotFound):
            template = prompts.resolve(flow.prompt, sticky=b"").template
            for variable in sorted(template.sure - given - template.optional):
                yield (
                    f"[flows.{name}] prompt: '{flow.prompt}' needs the variable '{variable}', and"
                    f" the flow gives {', '.join(sorted(given)) or 'none'}"
                )


def _given(flow: FlowSettings, registry: Registry) -> Set[str] | None:
    """Return the variables that a flow gives its prompt; None where only a record tells."""
    if flow.type == "generate":
        variables = flow.fields.get("variables", {})
        return variables.keys() if isinstance(variables, Mapping) else None
    try:
        return registry.processor_for(flow.type).variables
    except UnknownType:
        return None


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
