"""What `streamapp prompts stats` says where there are no results."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from streamapp.cli import main
from streamapp.cli.prompt_stats import _asked
from streamapp.errors import PromptNotFound, StreamappError
from streamapp.settings import Settings


async def asked(name: str, *, without: int = 200) -> dict[str, Any]:
    """Ask a worker that knows the prompt `haiku`, which nobody has used.

    ``without`` is the status of results of prompts that it does not know, or of none at all.
    """
    bodies = {
        "/version": {"name": "streamapp", "app_id": "streamapp"},
        "/v1/prompts": {"prompts": [{"name": "haiku"}]},
    }

    async def answer(request: web.Request) -> web.Response:
        none = {"missing": 0, "variants": []}
        status = 200 if request.path in bodies else without
        return web.json_response(bodies.get(request.path, none), status=status)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        return await _asked(Settings(), name, str(server.make_url("/")))


@pytest.mark.parametrize("without", [200, 404])
async def test_prompt_that_is_not_there_is_told_with_the_one_that_is_like_it(without: int) -> None:
    """An empty table would read like one of a prompt that nobody has used."""
    with pytest.raises(PromptNotFound) as caught:
        await asked("hiaku", without=without)

    assert str(caught.value) == (
        "there is no prompt 'hiaku', did you mean 'haiku'?; see 'streamapp prompts list'"
    )


async def test_prompt_that_nobody_has_used_has_no_results() -> None:
    """That is no mistake."""
    assert (await asked("haiku"))["variants"] == []


async def test_worker_that_tells_no_results_is_named() -> None:
    """It knows the prompt and not the question: an older one."""
    with pytest.raises(StreamappError, match="knows no results of prompts: upgrade it"):
        await asked("haiku", without=404)


def test_results_are_those_of_a_name_alone() -> None:
    """Of a reference to one version the worker would say only that it is no name."""
    result = CliRunner().invoke(main, ["prompts", "stats", "haiku@latest"])

    assert result.exit_code == 2
    assert "'haiku@latest': write the name alone: all versions and labels are" in result.stderr
