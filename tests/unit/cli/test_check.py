"""`streamapp check` where no broker is needed."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp.web
import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr
from structlog.testing import capture_logs

from streamapp.cli import main
from streamapp.cli.finding import Finding, outweighed
from streamapp.cli.findings import own_parts
from streamapp.cli.provider_findings import live, providers
from streamapp.prompts.files import parse_prompt
from streamapp.prompts.registry import prompts_of
from streamapp.settings import BudgetSettings, ModelSettings, ProviderSettings, Settings
from streamapp.settings.loading import load_settings

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


@pytest.mark.parametrize(("model", "is_told"), [("old", True), ("m", False), (None, False)])
def test_model_that_the_file_passes_over_is_noted(model: str | None, is_told: bool) -> None:
    """As of a variable that was set for a trial: the environment wins, but not over a route."""
    settings = Settings(
        _env_file=None,
        providers={"p": ProviderSettings(kind="openai")},
        models={"default": ModelSettings(targets=["p/m"])},
        model=model,
    )

    told = [one for one in own_parts(settings) if "STREAMAPP_MODEL is passed over" in one.detail]

    assert [one.is_note for one in told] == [True] * is_told


def test_attempt_that_the_record_ends_before_is_noted() -> None:
    """Its time says nothing, wherever it is set."""
    settings = Settings(
        _env_file=None,
        timeout_s=30,
        deadline_s=60,
        models={"default": {"targets": ["p/m"]}},
        providers={
            "p": {"kind": "openai", "timeout_s": 90, "models": {"m": {"timeout_s": 120}}},
            "q": {"kind": "openai", "timeout_s": 60},
        },
    )

    notes = [one.detail for one in own_parts(settings) if "ends an attempt" in one.detail]

    assert notes == [
        "providers.p.timeout_s = 90: STREAMAPP_DEADLINE_S=60 ends an attempt before it",
        "providers.p.models.m.timeout_s = 120: STREAMAPP_DEADLINE_S=60 ends an attempt before it",
    ]


@pytest.mark.parametrize(("own_s", "notes"), [(3, 0), (None, 1)], ids=["own", "common"])
def test_time_of_an_attempt_that_no_provider_has_is_not_noted(
    own_s: float | None, notes: int
) -> None:
    """Each has its own, so that the common one ends nothing."""
    settings = Settings(
        _env_file=None,
        timeout_s=60,
        deadline_s=10,
        models={"default": {"targets": ["p/m"]}},
        providers={"p": {"kind": "openai", "timeout_s": own_s}},
    )

    found = [one.detail for one in own_parts(settings) if "ends an attempt" in one.detail]

    assert (
        found
        == ["STREAMAPP_TIMEOUT_S = 60: STREAMAPP_DEADLINE_S=10 ends an attempt before it"][:notes]
    )


def test_key_that_can_be_guessed_is_noted() -> None:
    """It works, and is told without being shown."""
    result = run(STREAMAPP_API_KEYS="short,long-enough-to-be-one")

    [note] = [line for line in result.stdout.splitlines() if "API_KEYS" in line]
    assert note.startswith("note  keys: STREAMAPP_API_KEYS: 1 key of fewer than 8 characters")
    assert "short," not in result.stdout


def test_settings_file_is_named_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that a file was read which does not exist."""
    monkeypatch.chdir(tmp_path)
    without = run().stdout
    (tmp_path / "streamapp.toml").write_text("")

    assert "ok    settings: environment; there is no streamapp.toml" in without
    assert "ok    settings: environment and streamapp.toml" in run().stdout


def test_settings_file_that_dotenv_names_is_the_one_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said of it, and found in it, is of one file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text("[providers.mine]\nkind = 'offline'\n")
    (tmp_path / ".env").write_text("STREAMAPP_CONFIG=my.toml\nSTREAMAPP_MODEL=mine/m\n")

    lines = run().stdout.splitlines()

    assert "ok    settings: environment, .env and my.toml" in lines
    assert [line for line in lines if line.startswith("note  provider mine: answers by rules")]


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


TWO_PROVIDERS = """
[providers.a]
kind = "openai"
base_url = "http://127.0.0.1:1/v1"
[providers.b]
kind = "openai"
base_url = "http://127.0.0.1:1/v1"
[models.default]
targets = ["a/m", "b/m"]
"""


def wrong_names(text: str) -> list[str]:
    """Return what is wrong with a file, by its checks' names, but for the broker."""
    Path("streamapp.toml").write_text(text)
    report = json.loads(run("--json").stdout)
    return [c["name"] for c in report["checks"] if not c["ok"] and c["name"] != "broker"]


def test_one_reason_is_told_of_each_provider_that_it_holds_for() -> None:
    """Two that nobody answers for at one address are both named."""
    assert wrong_names(TWO_PROVIDERS) == ["provider a", "provider b"]


def test_provider_that_cannot_be_built_is_told_of_once() -> None:
    """Its routes cannot be built either, for the same reason: that is one mistake."""
    wrong = TWO_PROVIDERS.replace("[models", 'extra_headers = { authorization = "x" }\n[models')

    assert wrong_names(wrong) == ["models", "provider a"]


ALL_WRONG = """
processors = "no_such_a, no_such_b"
tools = "no_such_c, no_such_d"
prompts_dir = "prompts"
[providers.a]
kind = "openai"
base_url = "ftp://a"
[providers.b]
kind = "openai"
base_url = "ftp://b"
[models.default]
targets = ["a/m", "b/m"]
[budgets.x]
limit_usd = 1
action = "downgrade"
model = "none"
[budgets.y]
limit_usd = 1
action = "downgrade"
model = "none"
"""


def test_all_that_is_wrong_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one kind, and of the others too; what cannot be read is not taken for missing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "streamapp.toml").write_text(ALL_WRONG)
    (tmp_path / "prompts").mkdir()
    for name, text in (
        ("a", "---\ncolour: red\n---\nx"),
        ("b", "{{ text"),
        ("summarize", "---\nname: [\n---\nx"),
        ("good", "---\nmodel: nowhere\n---\nx"),
    ):
        (tmp_path / "prompts" / f"{name}.md").write_text(text)

    report = json.loads(run("--json").stdout)

    wrong = [(c["name"], c["detail"]) for c in report["checks"] if not c["ok"]]
    wrong.remove(next(one for one in wrong if one[0] == "broker"))
    wanted = [
        ("processors", "no module 'no_such_a'"),
        ("processors", "no module 'no_such_b'"),
        ("prompts", "prompts/a.md, line 2"),
        ("prompts", "prompts/b.md, line 1"),
        ("prompts", "prompts/summarize.md, line 2"),
        ("models", "[providers.a] base_url"),
        ("models", "[providers.b] base_url"),
        ("models", "[budgets.x] model"),
        ("models", "[budgets.y] model"),
        ("tools", "module 'no_such_c'"),
        ("tools", "module 'no_such_d'"),
        ("prompts", "prompts/good.md, line 2: there is no model 'nowhere'"),
    ]
    assert [name for name, _ in wrong] == [name for name, _ in wanted], wrong
    for (_, detail), (_, part) in zip(wrong, wanted, strict=True):
        assert part in detail


def test_prompt_that_cannot_be_read_is_not_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody adds a file that is there."""
    (tmp_path / "unread_processors.py").write_text(OWN_PROCESSOR)
    (tmp_path / "rate-it.md").write_text("{{ text")
    monkeypatch.syspath_prepend(tmp_path)

    out = run(STREAMAPP_PROCESSORS="unread_processors", STREAMAPP_PROMPTS_DIR=str(tmp_path)).stdout

    assert "rate-it.md, line 1" in out
    assert "needs the prompt" not in out


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

    with capture_logs() as logs:
        [found] = [finding for finding in own_parts(settings) if finding.name == "prices"]

    assert logs == []  # it is said once
    assert found.ok is ok
    assert found.is_note is ok
    assert "own/m" in found.detail
    assert "STREAMAPP_PRICES_FILE" in found.detail
    assert "did you mean" not in found.detail


def test_price_of_no_target_is_told_where_it_may_be_that_of_one(tmp_path: Path) -> None:
    """One of another target is not meant."""
    (tmp_path / "prices.toml").write_text('["own/gpt-z"]\ninput = 1\n["own/gpt-x-1"]\ninput = 1\n')
    settings = Settings(
        _env_file=None,
        providers={"own": ProviderSettings(kind="openai", base_url="http://127.0.0.1/v1")},
        models={"default": ModelSettings(targets=["own/gpt-x", "own/gpt-x-1"])},
        prices_file=tmp_path / "prices.toml",
    )

    found, *_ = [finding for finding in own_parts(settings) if finding.name == "prices"]

    assert found.detail.endswith("; own/gpt-z has one and is no target: did you mean own/gpt-x?")


@pytest.mark.parametrize(
    ("price", "lacks"),
    [
        ({"input": 1}, "output"),
        ({"output": 1}, "input"),
        ({"input": 1, "output": 0}, ""),
        ({"embed": {"input": 1}}, ""),
    ],
    ids=str,
)
@pytest.mark.parametrize("has_budget", [True, False])
def test_price_of_some_tokens_alone_is_named(
    price: dict[str, Any], lacks: str, has_budget: bool
) -> None:
    """An answer has both kinds; what is asked for embeddings alone writes none."""
    models = {"m": {"price": price}} if "embed" not in price else {"e": {"price": price["embed"]}}
    own = {"kind": "openai", "base_url": "http://127.0.0.1/v1", "models": models}
    settings = Settings(
        _env_file=None,
        providers={"own": own, "offline": {"kind": "offline"}},
        models={
            "default": ModelSettings(targets=["offline/offline" if "embed" in price else "own/m"])
        },
        embed_model="own/e" if "embed" in price else None,
        budgets={"b": BudgetSettings(action="warn", limit_usd=1)} if has_budget else {},
    )

    [found] = [finding for finding in own_parts(settings) if finding.name == "prices"]

    assert (f"unknown of own/m for {lacks} tokens" in found.detail) is bool(lacks)
    assert ("budgets.b does not count them" in found.detail) is (has_budget and bool(lacks))
    assert (found.ok, found.is_note) == (not (has_budget and lacks), bool(lacks) and not has_budget)


def test_missing_file_of_examples_is_found(tmp_path: Path) -> None:
    """Otherwise each worker would say so, and answer without them."""
    text = "---\nexamples: {file: shots.jsonl, count: 2}\n---\nBe brief: {{ x }}"
    (tmp_path / "haiku.md").write_text(text)
    settings = load_settings(_env_file=None, prompts_dir=tmp_path)

    missing = [finding.detail for finding in own_parts(settings) if not finding.ok]
    (tmp_path / "shots.jsonl").write_text('{"variables": {"x": "snow"}, "output": "Snow falls"}')
    there = [finding.detail for finding in own_parts(settings) if not finding.ok]

    file = tmp_path / "shots.jsonl"
    assert missing == [f"prompt file {tmp_path}/haiku.md, line 2: there is no file '{file}'"]
    assert there == []


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("garbage", "not a set of examples"),
        (
            '{"variables": {"x": "a"}, "output": 1}\n{"variables": {"subjct": "a"}, "output": 1}',
            "1 of 2 examples is left out: example 2: the text has no variable 'subjct', did you"
            " mean 'subject'?",
        ),
    ],
    ids=["garbage", "mistyped"],
)
def test_examples_that_no_record_would_get_are_found(
    tmp_path: Path, data: str, problem: str
) -> None:
    """A file of them that is none, and a variable that the text does not have."""
    text = "---\nexamples: {file: shots.jsonl}\n---\n{{ x }}{% if subject is defined %}!{% endif %}"
    (tmp_path / "haiku.md").write_text(text)
    (tmp_path / "shots.jsonl").write_text(data)
    settings = load_settings(_env_file=None, prompts_dir=tmp_path)

    [found] = [finding.detail for finding in own_parts(settings) if not finding.ok]

    place = f"prompt file {tmp_path}/haiku.md, line 2: {tmp_path}/shots.jsonl: "
    assert found.startswith(f"{place}{problem}")


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ('{"mood": "good"}', ""),
        ('"Thinking. {\\"mood\\": \\"bad\\"}"', ""),
        ('{"mood": "terrible"}', "field 'mood' is none of the allowed values"),
        ('"terrible"', "the answer is not of type object"),
    ],
    ids=["fits", "among prose", "breaks a rule", "no JSON"],
)
def test_example_that_no_answer_may_be_is_found(tmp_path: Path, output: str, problem: str) -> None:
    """Models would be shown as right what is asked for again of themselves."""
    schema = '{type: object, properties: {mood: {enum: ["good", "bad"]}}}'
    text = f"---\nexamples: {{file: shots.jsonl}}\noutput_schema: {schema}\n---\n{{{{ x }}}}"
    (tmp_path / "haiku.md").write_text(text)
    lines = ('{"mood": "bad"}', output)
    examples = "\n".join(f'{{"variables": {{"x": "a"}}, "output": {line}}}' for line in lines)
    (tmp_path / "shots.jsonl").write_text(examples)
    settings = load_settings(_env_file=None, prompts_dir=tmp_path)

    found = [finding.detail for finding in own_parts(settings) if not finding.ok]

    said = f"shots.jsonl: example 2: its output breaks output_schema: {problem}"
    assert [one.endswith(said) for one in found] == ([True] if problem else [])


class Vendor:
    """A server with a list of models, which takes one key."""

    def __init__(self) -> None:
        self.status = 200
        self.lists_for_anybody = False
        self.page = ""
        self.embedded: list[str] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.models = ["m", "models/gemini", "llama:latest"]
        self.unlisted: list[str] = []

    async def __call__(self, request: aiohttp.web.BaseRequest) -> aiohttp.web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append((request.path_qs, headers))
        if self.page:
            return aiohttp.web.Response(text=self.page, content_type="text/html")
        keys = headers.get("authorization", "") + headers.get("api-key", "")
        is_listing = request.method == "GET"
        if "good" not in keys and not (is_listing and self.lists_for_anybody):
            return aiohttp.web.json_response({"error": {"message": f"no: {keys}"}}, status=401)
        if request.method == "POST":
            model = (await request.json())["model"]
            if request.path.endswith("/embeddings"):
                self.embedded.append(model)
                return aiohttp.web.json_response({"data": [{"index": 0, "embedding": [1.0]}]})
            known = model in (*self.models, *self.unlisted)
            answer = completion() if known else {"error": {"code": "model_not_found"}}
            return aiohttp.web.json_response(answer, status=200 if known else 404)
        name = request.path.rpartition("/")[2]
        if name != "models":
            return aiohttp.web.Response(status=200 if name == "alias" else 404)
        listed = {"data": [{"id": model} for model in self.models]}
        return aiohttp.web.json_response(listed, status=self.status)


def completion() -> Any:
    return {"choices": [{"message": {"content": "o"}, "finish_reason": "length"}]}


@pytest.fixture
async def vendor() -> AsyncIterator[Any]:
    """A vendor on a free port, with its address."""
    served = Vendor()
    runner = aiohttp.web.ServerRunner(aiohttp.web.Server(served))
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"  # type: ignore[attr-defined]
    yield served
    await runner.cleanup()


def wanting(url: str, *models: str, key: str = "good", **fields: Any) -> Settings:
    provider = ProviderSettings(
        **{"kind": "openai", "api_key_env": "OPENAI_API_KEY", "base_url": url} | fields,
        api_key=SecretStr(key),
    )
    targets = [f"p/{model}" for model in models or ("m",)]
    return Settings(
        _env_file=None,
        providers={"p": provider},
        models={"default": ModelSettings(targets=targets)},
    )


@pytest.mark.parametrize(
    ("key", "status", "ok", "says"),
    [
        ("good", 200, True, "/models answers"),
        ("good", 429, True, "answers 429"),
        ("good", 404, True, "answers 404: either it lists no models, or check base_url"),
        ("good", 405, True, "answers 405: either it lists no models, or check base_url"),
        ("good", 302, False, "answers 302: check base_url"),
        ("wrong", 200, False, "refuses the key (401): check OPENAI_API_KEY"),
        ("good", 500, False, "answers 500"),
    ],
)
async def test_provider_is_asked_with_its_key(
    vendor: Any, key: str, status: int, ok: bool, says: str
) -> None:
    """A wrong key, a wrong address and an outage are wrong; the key itself is never shown.

    That there is no list proves nothing of calls.
    """
    vendor.status = status

    [finding] = await providers(wanting(f"{vendor.url}/v1", key=key))

    assert finding.ok is ok
    assert finding.is_note is (status in (404, 405))
    assert says in finding.detail
    assert "wrong" not in finding.detail


@pytest.mark.parametrize(
    ("fields", "path", "header"),
    [
        ({"kind": "anthropic"}, "/v1/models?limit=1000", "anthropic-version"),
        ({"kind": "azure-openai"}, "/openai/v1/models", "api-key"),
        (
            {"kind": "azure-openai", "api_version": "2024-10-21"},
            "/openai/models?api-version=2024-10-21",
            "api-key",
        ),
        ({"extra_headers": {"x-team": "shop"}}, "/models", "x-team"),
        ({"extra_headers": {"x-api-key": "gateway"}}, "/models", "x-api-key"),
    ],
    ids=["anthropic", "azure", "azure-dated", "extra-headers", "key-of-a-gateway"],
)
async def test_provider_is_asked_in_its_own_way(
    vendor: Any, fields: Any, path: str, header: str
) -> None:
    """Each kind is asked at its own address and with its own headers, and nowhere else."""
    [finding] = await providers(wanting(vendor.url, **fields))

    assert finding.ok
    [(asked, headers)] = vendor.asked
    assert asked == path
    assert header in headers


async def test_models_are_looked_for(vendor: Any) -> None:
    """A model that the provider does not have is named, with what is near to it."""
    settings = wanting(f"{vendor.url}/v1", "gemini", "llama", "alias", "gemina")

    [provider, unknown] = await providers(settings)

    assert provider.ok
    assert not unknown.ok
    assert unknown.name == "model p/gemina"
    assert "gemini" in unknown.detail


async def test_live_asks_each_target(vendor: Any) -> None:
    """With --live each target is asked for one token, and says what is wrong with it."""
    right, wrong = await live(wanting(f"{vendor.url}/v1", "m", "gone"))

    assert (right.name, right.ok) == ("target p/m", True)
    assert (wrong.name, wrong.ok) == ("target p/gone", False)
    assert "does not exist" in wrong.detail


@pytest.mark.parametrize(
    ("embed_model", "asked"),
    [("vectors", "e"), ("p/e", "e"), ("e", "e"), ("default", None), ("shared", None), (None, None)],
)
async def test_live_asks_what_embeds_for_vectors(
    embed_model: str | None, asked: str | None, vendor: Any
) -> None:
    """A route, a target and a bare model for embeddings alone are asked for vectors, once."""
    vendor.models = ["m", "e"]
    settings = wanting(f"{vendor.url}/v1", "m").model_copy(update={"embed_model": embed_model})
    routes = {"vectors": ModelSettings(targets=["p/e"]), "shared": ModelSettings(targets=["p/m"])}
    used = {name: route for name, route in routes.items() if name == embed_model}
    settings = settings.model_copy(update={"models": settings.models | used})

    found = await live(settings)

    assert all(finding.ok for finding in found), found
    assert vendor.embedded == ([asked] if asked else [])
    assert [finding.name for finding in found] == ["target p/m", "target p/e"][: len(found)]


async def test_live_finds_the_key_that_no_list_of_models_asks_for(vendor: Any) -> None:
    """Where the list is open to anybody only a call finds a wrong key; no key is shown."""
    vendor.lists_for_anybody = True
    settings = wanting(f"{vendor.url}/v1", key="wrong-key")

    [listed] = await providers(settings)
    [asked] = await live(settings)

    assert (listed.ok, asked.ok) == (True, False)
    assert "only --live tests the key" in listed.detail
    assert (
        "refuses the key, check OPENAI_API_KEY; the provider says: no: Bearer ***" in asked.detail
    )


async def test_key_that_is_refused_in_a_header_is_named_by_its_variable(vendor: Any) -> None:
    """A gateway's key has no `api_key_env` that could be checked."""
    fields = {"api_key_env": None, "headers_env": {"x-api-key": "GATEWAY_KEY"}}

    [finding] = await providers(wanting(f"{vendor.url}/v1", key="wrong", **fields))

    assert "refuses the key (401): check GATEWAY_KEY" in finding.detail


@pytest.mark.parametrize("setting", ["STREAMAPP_MODEL", "STREAMAPP_EMBED_MODEL"])
async def test_model_that_the_offline_provider_stands_in_for_is_noted(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who named a model and no key does not take answers by rules for those of the model."""
    [fine] = await providers(load_settings())
    monkeypatch.setenv(setting, "gpt-x")

    [noted] = await providers(load_settings())

    assert (fine.ok, fine.is_note) == (True, False)
    assert (noted.name, noted.ok, noted.is_note) == ("provider offline", True, True)
    assert "answers by rules in place of gpt-x" in noted.detail
    assert "or set OPENAI_API_KEY" in noted.detail


async def test_unreachable_provider_is_named() -> None:
    """A wrong address is found without a call that costs."""
    provider = ProviderSettings(kind="openai", base_url="http://127.0.0.1:1/v1")

    [finding] = await providers(Settings(_env_file=None, providers={"p": provider}))

    assert not finding.ok
    assert "http://127.0.0.1:1/v1/models does not answer" in finding.detail


class Litellm(ModuleType):
    """Stands in for litellm: it knows two vendors, and reads their keys from the environment."""

    openai_compatible_providers = ("groq",)

    def __init__(self) -> None:
        super().__init__("litellm")
        self.keys: dict[str, str] = {}
        self.suppress_debug_info = False

    def get_llm_provider(self, *, model: str, api_base: str | None, api_key: str | None) -> Any:
        vendor, _, name = model.partition("/")
        if vendor not in ("openai", "groq", "bedrock"):
            raise ValueError(vendor)
        return name, vendor, None, api_base

    def validate_environment(self, *, model: str, api_key: str | None, api_base: Any) -> Any:
        variable = f"{model.partition('/')[0].upper()}_API_KEY"
        return {"missing_keys": [] if api_key or variable in self.keys else [variable]}

    def get_secret(self, name: str) -> str | None:
        return self.keys.get(name)


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> Litellm:
    """A module of that name."""
    module = Litellm()
    monkeypatch.setitem(sys.modules, "litellm", module)
    return module


def by_litellm(url: str, *models: str, key: str | None = "good") -> Settings:
    settings = wanting(url, *models, key=key or "x", kind="litellm")
    if key is None:
        settings.providers["p"].api_key = None
    return settings


@pytest.mark.parametrize(
    ("model", "key", "ok", "says"),
    [
        ("openai/m", "good", True, "/models answers"),
        ("groq/m", "good", True, "/models answers"),
        ("openai/m", "wrong", False, "refuses the key (401): check OPENAI_API_KEY"),
        ("openai/m", None, False, "OPENAI_API_KEY is not set"),
        ("nobody/m", "good", False, "litellm knows no vendor of 'nobody/m'"),
        ("bedrock/m", None, True, "only `check --live` calls it; BEDROCK_API_KEY is not set"),
    ],
)
async def test_vendors_of_litellm_are_asked_where_it_asks_them(
    model: str, key: str | None, ok: bool, says: str, vendor: Any, litellm: Litellm
) -> None:
    """Each target has a vendor that litellm knows, a key, and where it can be asked a model."""
    [finding] = await providers(by_litellm(f"{vendor.url}/v1", model, key=key))

    assert (finding.name, finding.ok) == (f"target p/{model}", ok)
    assert says in finding.detail
    assert "wrong" not in finding.detail


async def test_model_that_litellms_vendor_does_not_have_is_named(
    vendor: Any, litellm: Litellm
) -> None:
    """A wrong address or model of a target is wrong, with what is near to it."""
    settings = by_litellm(f"{vendor.url}/v1", "openai/gemina")

    [listed, unknown] = await providers(settings)
    vendor.status = 404
    [moved] = await providers(settings, is_live=True)

    assert (listed.ok, unknown.ok, moved.ok) == (True, False, False)
    assert (unknown.name, "gemini" in unknown.detail) == ("model p/openai/gemina", True)
    assert "answers 404: check base_url" in moved.detail


async def test_live_says_of_a_model_that_answers_only_that_it_is_not_listed(vendor: Any) -> None:
    """As of embeddings that a server has and does not list: nothing needs mending."""
    vendor.unlisted = ["gpt-x"]
    settings = {
        "OPENAI_BASE_URL": f"{vendor.url}/v1",
        "OPENAI_API_KEY": "good",
        "STREAMAPP_MODEL": "gpt-x",
    }

    plain = await asyncio.to_thread(run, **settings)
    asked = await asyncio.to_thread(run, "--live", **settings)

    assert "WRONG model openai/gpt-x: the provider does not list it\n" in plain.stdout
    told = "model openai/gpt-x: the provider does not list it; it answers all the same\n"
    assert f"note  {told}ok    target openai/gpt-x: " in asked.stdout


@pytest.mark.parametrize("kind", ["openai", "litellm"])
async def test_answer_of_a_target_is_worth_more_than_a_list(
    kind: str, vendor: Any, litellm: Litellm
) -> None:
    """A model that is not listed is a note where it answers, and wrong beside it where not."""
    names = ["m2", "gone"] if kind == "openai" else ["openai/m2", "openai/gone"]
    settings = wanting(f"{vendor.url}/v1", *names, kind=kind)

    listed = [one for one in await providers(settings) if one.name.startswith("model ")]
    answers = [Finding(f"target p/{name}", name == names[0], "") for name in names]
    works, wrong = outweighed(listed, answers)

    assert [one.name for one in (works, wrong)] == [f"model p/{name}" for name in names]
    assert (works.ok, works.is_note, wrong.ok) == (True, True, False)
    assert works.detail.startswith("the provider does not list it; near to it: m")
    assert works.detail.endswith("; it answers all the same")


@pytest.mark.parametrize("status", [302, 403, 404, 500])
async def test_list_that_nobody_gets_is_a_note_where_all_targets_answer(
    status: int, vendor: Any
) -> None:
    """A gateway without one, and a key that may not read it, need no mending."""
    vendor.status = status
    some, every = (wanting(f"{vendor.url}/v1", *models) for models in (("m", "gone"), ("m",)))

    [wrong] = outweighed(await providers(some, is_live=True), await live(some))
    [noted] = outweighed(await providers(every, is_live=True), await live(every))

    assert (wrong.ok, noted.ok, noted.is_note) == (False, True, True)


async def test_key_that_litellm_reads_by_itself_is_tested(vendor: Any, litellm: Litellm) -> None:
    """The vendor's own variable counts where the file names none."""
    litellm.keys["OPENAI_API_KEY"] = "good"

    [finding] = await providers(by_litellm(f"{vendor.url}/v1", "openai/m", key=None))

    assert finding.ok
    assert "answers" in finding.detail


async def test_web_page_is_no_list_of_models(vendor: Any) -> None:
    """A server that answers everything with a page of its own is a wrong address, not a key."""
    vendor.page = "<!doctype html><title>Welcome</title>"

    [finding] = await providers(wanting(vendor.url))

    assert not finding.ok
    assert "is a web page: check base_url" in finding.detail


def test_variables_that_records_do_not_give_are_found_on_the_topic_too() -> None:
    """A version that was published before the files is the one in use, and nothing fills it."""
    published = prompts_of({"summarize": parse_prompt("Hi {{ t }}\n", name="summarize")})

    wrong = [found.detail for found in own_parts(load_settings(), published) if not found.ok]
    fine = [found for found in own_parts(load_settings()) if not found.ok]

    assert fine == []
    [line] = wrong
    assert line.startswith(
        "prompt 'summarize', line 1 of the version in use on the topic: 'summarize' has no"
        " variable 't': use "
    )
    assert "retire" not in line  # it is needed


def test_prompt_on_the_topic_that_nobody_needs_may_be_retired() -> None:
    """As one of an agent that was tried once, whose tools are there no more."""
    tried = parse_prompt("---\ntools: [order]\n---\nHi {{ t }}\n", name="clerk")

    wrong = [found.detail for found in own_parts(load_settings(), prompts_of({"clerk": tried}))]

    [line] = [line for line in wrong if "'clerk'" in line]
    assert line.startswith("prompt 'clerk' of the version in use on the topic: there is no tool")
    assert line.endswith("prompts retire clerk`, where no record is to name it")


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("CACHE_URL", "http://x", "WRONG cache: STREAMAPP_CACHE_URL: write redis://"),
        ("CACHE_URL", "redis://127.0.0.1:1", "note  cache: STREAMAPP_CACHE_URL: no Redis answers"),
        ("DATA_DIR", "/proc/none", "WRONG folder: STREAMAPP_DATA_DIR: cannot use '/proc/none'"),
        (
            "DATA_DIR",
            __file__,
            f"WRONG folder: STREAMAPP_DATA_DIR: cannot use {__file__!r}: it is no folder",
        ),
        ("EXAMPLES_HOSTS", "https://h/x", "WRONG examples: STREAMAPP_EXAMPLES_HOSTS: write HOST"),
    ],
)
def test_what_settings_point_to_is_looked_at(setting: str, value: str, told: str) -> None:
    """A worker would end at the first two kinds, and do without the others."""
    assert told in run(**{f"STREAMAPP_{setting}": value}).stdout


def test_folder_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    """A check changes nothing."""
    result = run(STREAMAPP_DATA_DIR=str(tmp_path / "a" / "b"))

    assert "folder" not in result.stdout
    assert list(tmp_path.iterdir()) == []
