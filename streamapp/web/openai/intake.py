"""The intake of OpenAI's paths: an admitted body, read by its model, of a route the key may use."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel

from streamapp.llm.routing.routes import DEFAULT
from streamapp.records import exact_json
from streamapp.records.codec import parse
from streamapp.web.admission import Admission
from streamapp.web.bodies import read
from streamapp.web.keys import key_of

B = TypeVar("B", bound=BaseModel)


class Intake:
    """Reads the bodies of requests that are answered synchronously.

    Args:
        admission: Of all of them.
        pass_through: By route, the fields besides OpenAI's that one of its targets takes.
    """

    def __init__(
        self, admission: Admission, *, pass_through: Mapping[str, frozenset[str]] | None = None
    ) -> None:
        self._admission = admission
        self._passed = {model: names for model, names in (pass_through or {}).items() if names}

    @asynccontextmanager
    async def taken(
        self, request: web.Request, kind: type[B], *, has_extra: bool = True
    ) -> AsyncIterator[tuple[B, dict[str, Any]]]:
        """Give the block the body, and the fields of it that only some providers know.

        Args:
            request: As it came.
            kind: The body's model.
            has_extra: Whether such fields are taken here.

        Raises:
            Refusal: It is none, the key may not use its model, or there is no such model.
        """
        async with self._admission.admitted(request) as raw:
            raw, extra = without_extra(raw, self._passed) if has_extra else (raw, {})
            body = read(kind, raw)
            model: str | None = getattr(body, "model", None)
            key_of(request).check_model(model)
            self._admission.check_model(model)
            yield body, extra


def without_extra(raw: bytes, passed: Mapping[str, frozenset[str]]) -> tuple[bytes, dict[str, Any]]:
    """Return the body without the fields that the route's targets take besides OpenAI's, and those.

    Args:
        raw: Strict JSON, or what the reader refuses later.
        passed: By route, the names of those fields.
    """
    if not passed:
        return raw, {}
    fields = parse(raw)
    model = fields.get("model") or DEFAULT
    names = passed.get(model, frozenset()) if isinstance(model, str) else frozenset()
    extra = {name: fields.pop(name) for name in names & fields.keys()}
    return (exact_json.dumps(fields), extra) if extra else (raw, {})
