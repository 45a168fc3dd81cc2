"""The operations on prompts, their versions, labels and splits."""

from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict

from streamapp.prompts.reference import NAME
from streamapp.prompts.settings import PromptSettings
from streamapp.web import prompts
from streamapp.web.operations.operation import GROUP, PROMPTS, READ, Operation


class PromptVersionBody(TypedDict):
    """One text of a prompt; never changes."""

    version: int
    body: str
    settings: PromptSettings
    author: str
    message: str
    created_at: str | None


class MoveBody(TypedDict):
    """What put a label where it is; ``before`` is the version it came from, null of a new one."""

    version: int
    before: int | None
    author: str
    message: str
    created_at: str


class _Pointers(TypedDict):
    retired: bool
    note: NotRequired[str]
    labels: dict[str, int]
    moved: dict[str, MoveBody]
    split: dict[str, int] | None
    protected: list[str]


class PromptBody(_Pointers):
    """A prompt: all its versions, and what points at them."""

    name: str
    versions: list[PromptVersionBody]


class ChangedPrompt(PromptBody):
    """A prompt after a change; ``version`` is the one that the change was about."""

    version: NotRequired[int]


class PromptSummary(_Pointers):
    """A prompt without its texts: the numbers of its versions."""

    name: str
    versions: list[int]


class PromptList(TypedDict):
    """All prompts, by name."""

    prompts: list[PromptSummary]


class ExampleBody(TypedDict):
    """A question, by the variables that it fills in, and its good answer."""

    variables: dict[str, JsonValue]
    output: JsonValue


class ExamplesBody(TypedDict):
    """The first examples of a version's set; ``count`` is how many it has.

    ``source`` is null for a version that has none; ``problem`` says why no set has arrived, or
    which examples are left out, since the version's text cannot take them.
    """

    source: str | None
    count: int
    examples: list[ExampleBody]
    problem: str | None


class VariantBody(TypedDict):
    """The results of the records of one version and label, over all workers that answered."""

    version: int
    label: str | None
    calls: int
    errors: int
    faults: int
    invalid_outputs: int
    cached: int
    input_tokens: int
    output_tokens: int
    cost_usd: str
    duration_s: float
    mean_duration_s: float | None


class PromptStats(TypedDict):
    """A prompt's variants, since each worker's start; ``missing`` workers did not answer."""

    name: str
    workers: int
    missing: int
    variants: list[VariantBody]


_CHANGING = (404, 409, 500, 503)
_NAME = {"pattern": f"^{NAME.pattern}$"}
_NAMED = {"name": _NAME}

OPERATIONS = (
    Operation(
        "GET",
        "/v1/prompts",
        "List the prompts, without their texts",
        PromptList,
        errors=(503,),
        access=READ,
    ),
    Operation(
        "GET",
        "/v1/prompts/{name}",
        "Show a prompt with all its versions",
        PromptBody,
        errors=(404, 422, 503),
        places=_NAMED,
        access=READ,
    ),
    Operation(
        "GET",
        "/v1/prompts/{name}/versions/{version}/examples",
        "Show the few-shot examples that a version names",
        ExamplesBody,
        errors=(404, 503),
        places={"name": _NAME, "version": {"pattern": "^[0-9]{1,10}$"}},
        access=READ,
    ),
    Operation(
        "GET",
        "/v1/prompts/{name}/stats",
        "Return the results of a prompt's versions, over all workers",
        PromptStats,
        errors=(404, 422, 503),
        places=_NAMED,
        access=GROUP,
    ),
    Operation(
        "POST",
        "/v1/prompts/{name}/versions",
        "Publish a version; the same content again is the version it was",
        ChangedPrompt,
        others={201: ChangedPrompt},
        body=prompts.Publish,
        errors=_CHANGING,
        places=_NAMED,
        access=PROMPTS,
    ),
    Operation(
        "PUT",
        "/v1/prompts/{name}/labels/{label}",
        "Point a label at a version",
        ChangedPrompt,
        body=prompts.Move,
        errors=_CHANGING,
        places={"name": _NAME, "label": _NAME},
        access=PROMPTS,
    ),
    Operation(
        "PUT",
        "/v1/prompts/{name}/split",
        'Give labels shares, as {"production": 90, "new": 10}, of the records that name the prompt'
        " alone; null ends it",
        ChangedPrompt,
        body=prompts.Shares,
        errors=_CHANGING,
        places=_NAMED,
        query={"force": {"type": "boolean", "description": "Also where it is protected."}},
        access=PROMPTS,
    ),
)
