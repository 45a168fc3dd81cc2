"""docs/adding-a-provider.md does what it says, against a server that speaks its protocol."""

import asyncio
import json
import shutil
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from streamapp.errors import ProviderRejected, RateLimited
from streamapp.llm.provider import LLMProvider
from streamapp.llm.routing.routes import Routes
from streamapp.processors.registry import Registry
from streamapp.processors.router import Router
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.docs.pages import DOCS, ROOT, blocks
from tests.support.process import free_port
from tests.support.served import served

PAGE = DOCS / "adding-a-provider.md"


class House:
    """The server of the page; statuses that are queued are answered first."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.requests: list[Any] = []
        self.base_url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(await request.json())
        if self.statuses:
            return web.Response(status=self.statuses.pop(0))
        return web.json_response(json.loads(blocks(PAGE, "json")[1].text))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A running server."""
    server, app = House(), web.Application()
    app.router.add_post("/answer", server.answer)
    async with served(app) as host:
        server.base_url = f"http://{host}"
        yield server


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The page's file, imported."""
    (block,) = blocks(PAGE, "python")[:1]
    (tmp_path / block.title).write_text(block.text)
    monkeypatch.syspath_prepend(tmp_path)
    yield import_module("house")
    sys.modules.pop("house")


@pytest.fixture
async def router(module: Any, house: House) -> AsyncIterator[Router]:
    """What answers records by the page's provider, built by the page's line."""
    line = blocks(PAGE, "python")[2].text
    build = eval(f"{{{line}}}", vars(module))["house"]
    provider: LLMProvider = build(
        "house", ProviderSettings(kind="openai", base_url=house.base_url), {}
    )
    settings = Settings(
        providers={"house": ProviderSettings(kind="openai")},
        models={"default": ModelSettings(targets=["house/poet-2"])},
    )
    yield Router(
        registry=Registry.load(()),
        prompts=PromptRegistry.load(Path("none")),
        routes=Routes(settings, {"house": provider}, sleep=lambda _: asyncio.sleep(0)),
        deadline_s=30,
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
    )
    await provider.aclose()


async def answered(router: Router) -> Any:
    """Return the response to a chat of the page's message."""
    messages = json.loads(blocks(PAGE, "json")[0].text)["messages"]
    record = {"type": "chat", "messages": messages, "max_tokens": 100}
    request = router.decode(json.dumps(record).encode())
    return (await router.answer(request, id="r-1", key=None)).response


async def test_the_protocol_is_spoken_as_shown(router: Router, house: House) -> None:
    """The request is the page's first JSON, and its second one becomes the response."""
    response = await answered(router)

    assert house.requests == [json.loads(blocks(PAGE, "json")[0].text)]
    assert (response.output, response.provider, response.model) == ("Good day.", "house", "poet-2")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (3, 2)


async def test_an_outage_is_tried_again(router: Router, house: House) -> None:
    """503 costs an attempt, and the record is answered."""
    house.statuses = [503]

    response = await answered(router)

    assert (response.attempts, response.finish_reason) == (2, "stop")


def test_a_limit_is_passed_on(module: Any) -> None:
    """429 says how long the server wants to be left alone."""
    error = module.error_for(429, {"retry-after": "7"}, b"", provider="house", now=0.0)

    assert (type(error), error.retry_after_s) == (RateLimited, 7.0)


async def test_a_refusal_ends_the_record(router: Router, house: House) -> None:
    """422 is not tried again."""
    house.statuses = [422]

    with pytest.raises(ProviderRejected):
        await answered(router)

    assert len(house.requests) == 1


async def test_commands_take_the_provider_where_the_page_puts_it(
    house: House, tmp_path: Path
) -> None:
    """Word for word, in a copy of the code: `check --live` asks the server."""
    code, provider, factory = tmp_path / "streamapp", *_places(tmp_path / "streamapp")
    shutil.copytree(ROOT / "streamapp", code, ignore=shutil.ignore_patterns("__pycache__"))
    file, import_line, line = blocks(PAGE, "python")
    provider.write_text(file.text)
    _put(factory, "from streamapp.llm.providers.offline", import_line.text)
    _put(factory, '    "offline": lambda', line.text)
    _put(code / "settings" / "tables.py", '"openai", "azure-openai"', '"house", ')
    (settings,) = blocks(PAGE, "toml")
    (tmp_path / settings.title).write_text(
        settings.text.replace("http://localhost:7000", house.base_url)
    )

    environment = {
        "PYTHONPATH": str(tmp_path),
        "STREAMAPP_BROKER": f"kafka://localhost:{free_port()}",
    }
    asked = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "streamapp",
        "check",
        "--live",
        "--json",
        cwd=tmp_path,
        env=environment,
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await asked.communicate()

    assert out, err.decode()
    checks = json.loads(out)["checks"]
    assert [check["name"] for check in checks if not check["ok"]] == ["broker"]
    assert len(house.requests) == 1


def _places(code: Path) -> tuple[Path, Path]:
    folder = code / "llm" / "providers"
    return folder / "house.py", folder / "factory.py"


def _put(file: Path, before: str, text: str) -> None:
    whole = file.read_text()
    assert whole.count(before) == 1
    file.write_text(whole.replace(before, f"{text}{before}"))
