"""`/v1/prompts/{name}/versions/{version}/examples`: the few-shot examples of a version."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.errors import PromptError, PromptNotFound
from streamapp.prompts.example_fit import Fit
from streamapp.prompts.example_set import Examples
from streamapp.prompts.settings import ExampleSettings
from streamapp.web.admission import Admission
from streamapp.web.prompts import PromptStore
from streamapp.web.responses import json_response

#: Examples shown of a set.
SHOWN = 50

FindExamples = Callable[[ExampleSettings], Awaitable[Examples]]


def prompt_examples(*, store: PromptStore, find: FindExamples, admission: Admission) -> Blueprint:
    """Return the view.

    Args:
        store: Knows the versions.
        find: Returns the whole set of a version; raises ``PromptError`` where there is none.
        admission: Says whether this worker is ready.
    """
    blueprint = Blueprint("prompt_examples")

    @blueprint.route("/v1/prompts/{name}/versions/{version}/examples", name="prompt_examples")
    class OfVersion(View):
        """Show what goes before the question of each record."""

        async def get(self, request: web.Request, name: str, version: str, **kwargs: Any) -> Any:
            admission.check_ready()
            prompt = store.history.prompts.get(name)
            is_number = version.isascii() and version.isdigit() and len(version) < 11
            found = prompt.versions.get(int(version)) if prompt and is_number else None
            if found is None:
                raise PromptNotFound("there is no such version of a prompt")
            settings, problem = found.settings.examples, None
            examples: Examples = ()
            if settings is not None:
                try:
                    examples = await find(settings)
                    problem = Fit(found.template, examples).problem
                except PromptError as error:
                    problem = str(error)
            return json_response(
                {
                    "source": settings.source if settings else None,
                    "count": len(examples),
                    "examples": [example.model_dump() for example in examples[:SHOWN]],
                    "problem": problem,
                }
            )

    return blueprint
