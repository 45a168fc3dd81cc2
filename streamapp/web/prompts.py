"""`/v1/prompts`: the registry over HTTP, changed by events on its topic."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Protocol, TypeVar

from aiohttp import web
from faust.web import Blueprint, View
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, ValidationError
from pydantic_core import PydanticCustomError

from streamapp.errors import (
    DeliveryFailed,
    InvalidRecord,
    PromptConflict,
    PromptError,
    PromptNotFound,
)
from streamapp.llm.schemas.schema import Schemas
from streamapp.prompts import files, guard
from streamapp.prompts.change import write_change
from streamapp.prompts.events import Event, Label, Labelled, Percent, Published, Split, now
from streamapp.prompts.fold import EventOutcome
from streamapp.prompts.history import History
from streamapp.prompts.prompt import Prompt
from streamapp.prompts.reference import NAME
from streamapp.prompts.settings import PromptSettings
from streamapp.records.codec import parse_value
from streamapp.records.framing import without_mark
from streamapp.records.problems import describe
from streamapp.records.whole import WHOLE
from streamapp.web.admission import Admission
from streamapp.web.bodies import flag
from streamapp.web.errors import Refusal
from streamapp.web.keys import Key, key_of

#: Longest wait until a change is in this worker's table, seconds.
VISIBLE_S = 5.0
#: The author of a change that names none.
AUTHOR = "http"
#: What is not a name: changes by files, by a guard, and by nobody in particular.
_OWN_AUTHORS = (AUTHOR, files.AUTHOR, guard.AUTHOR)

B = TypeVar("B", bound=BaseModel)


class Publish(BaseModel):
    """A text to become the next version."""

    model_config = ConfigDict(extra="forbid")

    body: str = Field(min_length=1)
    settings: PromptSettings = PromptSettings()
    label: Label | None = None
    force: bool = False
    author: str = Field(default=AUTHOR, max_length=200)
    message: str = Field(default="", max_length=2_000)


class Move(BaseModel):
    """Where a label is to point."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1, le=2**31 - 1), WHOLE]
    force: bool = False
    author: str = Field(default=AUTHOR, max_length=200)
    message: str = Field(default="", max_length=2_000)


def _number(share: Any) -> Any:
    if isinstance(share, bool) or not isinstance(share, int | float):
        problem = 'give labels at the top level, as {"production": 90, "new": 10}, and nothing else'
        raise PydanticCustomError("share_type", problem)
    return share


_SHARES = Field(json_schema_extra={"additionalProperties": False})
_Share = Annotated[Percent, BeforeValidator(_number)]


class Shares(RootModel[Annotated[dict[Label, _Share], _SHARES] | None]):
    """Percent by label; null or {} ends the split."""


class PromptStore(Protocol):
    """The registry and the way to change it; see ``streaming/prompts/table.py``."""

    @property
    def history(self) -> History:
        """The prompts as this worker knows them."""
        ...

    async def write(self, name: str, event: Event, *, timeout_s: float) -> EventOutcome:
        """Append an event; return what became of it once this worker knows."""
        ...


def prompts(
    *, store: PromptStore, admission: Admission, clock: Callable[[], datetime] = now
) -> Blueprint:
    """Return the views; ``clock`` dates the changes."""
    blueprint = Blueprint("prompts")

    @blueprint.route("/v1/prompts", name="prompts")
    class Prompts(View):
        """List all prompts, without their texts."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            admission.check_ready()
            found = store.history.prompts
            return web.json_response({"prompts": [found[name].summary() for name in sorted(found)]})

    @blueprint.route("/v1/prompts/{name}", name="prompt")
    class OnePrompt(View):
        """Show a prompt with all its versions."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            admission.check_ready()
            return state(request, named_prompt(request))

    @blueprint.route("/v1/prompts/{name}/versions", name="prompt_versions")
    class Versions(View):
        """Publish a version."""

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            def event(body: bytes) -> Event:
                given = _parsed(Publish, body)
                if given.settings.model is not None:
                    key_of(request).check_model(given.settings.model)
                admission.check_model(given.settings.model)
                Schemas().check(given.settings.output_schema or {})
                return Published(
                    body=given.body,
                    settings=given.settings.content(),
                    label=given.label,
                    labels="by force" if given.force else "any",
                    author=author_of(request, given.author),
                    message=given.message,
                    created_at=clock(),
                )

            return await changed(request, event)

    @blueprint.route("/v1/prompts/{name}/labels/{label}", name="prompt_label")
    class OneLabel(View):
        """Move a label."""

        async def put(self, request: web.Request, **kwargs: Any) -> Any:
            def event(body: bytes) -> Event:
                fields = _parsed(Move, body).model_dump()
                fields["author"] = author_of(request, fields["author"])
                return _built(Labelled, label=request.match_info["label"], **fields)

            return await changed(request, event)

    @blueprint.route("/v1/prompts/{name}/split", name="prompt_split")
    class OneSplit(View):
        """Set or end the split; ``?force=true`` where production is protected."""

        async def put(self, request: web.Request, **kwargs: Any) -> Any:
            def event(body: bytes) -> Event:
                shares = _parsed(Shares, body).root or None
                force = flag(request, "force")
                return Split(
                    shares=shares, force=force, author=author_of(request), created_at=clock()
                )

            return await changed(request, event)

    async def changed(request: web.Request, event_of: Callable[[bytes], Event]) -> web.Response:
        admission.check_settled()
        name = named_prompt(request)
        event = event_of(await admission.read(request))
        before = store.history.prompts.get(name)
        try:
            write = partial(store.write, timeout_s=VISIBLE_S)
            outcome = await write_change(store.history, name, event, write=write)
        except PromptConflict as conflict:
            raise Refusal(409, str(conflict), code="conflict") from conflict
        except DeliveryFailed as error:
            raise _unavailable("the broker did not take it", code="not_delivered") from error
        except TimeoutError as error:
            raise _unavailable(
                "it is written, and not read back yet: look again", code="slow"
            ) from error
        is_new = isinstance(event, Published) and not (
            before and outcome.version in before.versions
        )
        return state(request, name, status=201 if is_new else 200, version=outcome.version)

    def state(
        request: web.Request, name: str, *, status: int = 200, version: int | None = None
    ) -> web.Response:
        prompt = known_prompt(store, name)
        changed = {} if version is None else {"version": version}
        shown = prompt.to_json()
        for shown_version in shown["versions"]:
            shown_version["author"] = told_author(shown_version["author"], key_of(request))
        return web.json_response(shown | changed, status=status)

    def _built(kind: type[Labelled], **fields: Any) -> Event:
        try:
            return kind(created_at=clock(), **fields)
        except ValidationError as error:
            problem = describe(error, kind)
        raise InvalidRecord(problem)

    return blueprint


def author_of(request: web.Request, given: str = AUTHOR) -> str:
    """Return the name of the key that changes something; without one, what the body says."""
    return key_of(request).name or given


def told_author(author: str, key: Key) -> str:
    """Return the author of a version as a key may know it.

    The registry is everybody's, the names of keys and people are not: to a key of one tenant
    an author is told of its own team and of streamapp itself, and is empty otherwise.
    """
    is_told = key.tenant is None or author in key.team or author in _OWN_AUTHORS
    return author if is_told else ""


def named_prompt(request: web.Request) -> str:
    """Return the name in the path; raises ``PromptError`` for what no prompt can be named."""
    name = request.match_info["name"]
    if not NAME.fullmatch(name):
        raise PromptError("a prompt's name is letters, digits, '.', '_' and '-', at most 100")
    return name


def known_prompt(store: PromptStore, name: str) -> Prompt:
    """Return the prompt of a name; raises ``PromptNotFound`` where there is none."""
    prompt = store.history.prompts.get(name)
    if prompt is None:
        raise PromptNotFound("there is no prompt of that name")
    return prompt


def _parsed(kind: type[B], body: bytes) -> B:
    """Return the body.

    Raises:
        Undecodable: It is no strict JSON.
        InvalidRecord: It is none of that kind.
    """
    value = parse_value(body)
    try:
        return kind.model_validate_json(without_mark(body), strict=True)
    except ValidationError as error:
        problem = describe(error, kind, value)
    raise InvalidRecord(problem)  # outside of the block: pydantic's error holds the values


def _unavailable(message: str, *, code: str) -> Refusal:
    return Refusal(503, message, code=code, headers={"Retry-After": "1"})
