"""`streamapp check` where no broker is needed."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp.web
import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr

from streamapp.cli import main
from streamapp.cli.findings import own_parts, providers
from streamapp.settings import BudgetSettings, ModelSettings, ProviderSettings, Settings

NO_BROKER = {"STREAMAPP_BROKER": "kafka://127.0.0.1:1"}

OWN_PROCESSOR = """
from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request

class Rate(Request, type="rate"):
    text: str

@processor(Rate, prompt="rate-it")
async def rate(request: Rate, llm: LLMClient) -> str:
    return await llm.generate({"text": request.text})
"""


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["check", *arguments], env=NO_BROKER | environment)


def test_unreachable_broker_and_missing_prompt_are_both_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that can be checked without a broker is, and what was not is said."""
    (tmp_path / "own_processors.py").write_text(OWN_PROCESSOR)
    monkeypatch.syspath_prepend(tmp_path)

    result = run(STREAMAPP_PROCESSORS="own_processors")

    assert result.exit_code == 2
    assert "kafka://127.0.0.1:1 does not answer" in result.stdout
    assert "topics were not checked" in result.stdout
    assert "'rate-it'" in result.stdout
    assert result.stderr == "streamapp: 2 of 8 checks failed\n"


def test_missing_prompts_directory_is_named() -> None:
    """PROMPTS_DIR set to a folder that is not there is wrong; its default may be missing."""
    assert "STREAMAPP_PROMPTS_DIR: there is no directory 'nowhere'" in (
        run(STREAMAPP_PROMPTS_DIR="nowhere").stdout
    )
    assert "WRONG prompts" not in run().stdout


def test_wrong_setting_is_named_and_nothing_else_is_checked() -> None:
    """Without settings there is nothing to check: the message says so."""
    result = run(STREAMAPP_MAX_IN_FLIGHT="many")

    assert result.exit_code == 2
    assert "STREAMAPP_MAX_IN_FLIGHT" in result.stdout
    assert "were not checked" in result.stdout


def test_json_has_every_finding() -> None:
    """Machines get the same findings as one object."""
    result = run("--json", STREAMAPP_PROMPTS_DIR="nowhere")

    report = json.loads(result.stdout)
    assert report["ok"] is False
    assert {c["name"] for c in report["checks"] if not c["ok"]} == {"prompts", "broker"}
    assert all(c["detail"] for c in report["checks"])


def test_good_parts_are_all_ok() -> None:
    """The built-in processors, prompts and routes fit each other."""
    settings = Settings(
        _env_file=None,
        providers={"offline": ProviderSettings(kind="offline")},
        models={"default": ModelSettings(targets=["offline/offline"])},
    )

    assert all(finding.ok for finding in own_parts(settings))


@pytest.mark.parametrize(
    ("limit", "ok"), [({}, True), ({"limit_records": 1}, True), ({"limit_usd": 1}, False)], ids=str
)
def test_unknown_prices_are_named(limit: dict[str, Any], ok: bool) -> None:
    """A target without a price is named; it is wrong only where a budget counts dollars."""
    settings = Settings(
        _env_file=None,
        providers={"own": ProviderSettings(kind="openai", base_url="http://127.0.0.1/v1")},
        models={"default": ModelSettings(targets=["own/m"])},
        budgets={"b": BudgetSettings(action="warn", **limit)} if limit else {},
    )

    [found] = [finding for finding in own_parts(settings) if finding.name == "prices"]

    assert found.ok is ok
    assert "own/m" in found.detail
    assert "STREAMAPP_PRICES_FILE" in found.detail


@pytest.fixture
async def vendor() -> AsyncIterator[Any]:
    """A server that answers /v1/models with the status of the bearer key."""

    async def models(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(status=int(request.headers["Authorization"].split()[1]))

    app = aiohttp.web.Application()
    app.router.add_get("/v1/models", models)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("key", "ok", "says"),
    [
        ("200", True, "answers 200"),
        ("404", True, "answers 404"),
        ("401", False, "refuses the key (401): check OPENAI_API_KEY"),
        ("500", False, "answers 500"),
    ],
)
async def test_provider_is_asked_with_its_key(vendor: str, key: str, ok: bool, says: str) -> None:
    """Any answer shows the address, a refusal names the key's variable, never the key."""
    provider = ProviderSettings(
        kind="openai", base_url=vendor, api_key_env="OPENAI_API_KEY", api_key=SecretStr(key)
    )

    [finding] = await providers(Settings(_env_file=None, providers={"p": provider}))

    assert finding.ok is ok
    assert says in finding.detail


async def test_unreachable_provider_is_named() -> None:
    """A wrong address is found without a call that costs."""
    provider = ProviderSettings(kind="openai", base_url="http://127.0.0.1:1/v1")

    [finding] = await providers(Settings(_env_file=None, providers={"p": provider}))

    assert not finding.ok
    assert "http://127.0.0.1:1/v1/models does not answer" in finding.detail
