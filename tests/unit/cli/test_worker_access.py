"""What commands ask of a running worker, also where it speaks TLS."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from streamapp.cli.asked_worker import AskedWorker
from streamapp.cli.dry_run import DryRun
from streamapp.cli.explain import _text
from streamapp.cli.flows import _costs
from streamapp.cli.kept_answers import SharedAnswers
from streamapp.cli.lines import Line
from streamapp.cli.prompt_stats import _asked
from streamapp.cli.worker_access import WorkerAccess
from streamapp.cli.worker_findings import workers
from streamapp.errors import StreamappError
from streamapp.processors.registry import Registry
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings import Settings
from streamapp.settings.loading import load_settings
from tests.support.process import free_port

OWN = {
    "name": "streamapp",
    "version": "0.1.0",
    "app_id": "streamapp",
    "brokers": ["localhost:9092"],
}


@pytest.mark.parametrize("has_root", [True, False])
async def test_worker_that_speaks_tls_is_asked(tmp_path: Path, has_root: bool) -> None:
    """With a certificate set, the worker's own address is https, and its own file is trusted.

    The certificate of an authority of one's own is trusted without that, too. Who has another file
    is told why nobody is asked.
    """
    authority, port = trustme.CA(), free_port()
    certificate = authority.issue_cert("127.0.0.1")
    cert_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    chain = [*certificate.cert_chain_pems, *([authority.cert_pem] if has_root else [])]
    cert_file.write_bytes(b"".join(blob.bytes() for blob in chain))
    certificate.private_key_pem.write_to_path(key_file)
    settings = Settings(web_port=port, web_cert_file=cert_file, web_key_file=key_file)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert_file, key_file)

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.json_response(OWN if request.path == "/version" else {"path": request.path})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        async with WorkerAccess(settings) as worker:
            found = await worker.get("/v1/x")
        async with WorkerAccess(Settings(), f"https://127.0.0.1:{port}") as stranger:
            with pytest.raises(StreamappError, match="is not trusted: "):
                await stranger.get("/v1/x")
    finally:
        await runner.cleanup()

    assert found == {"path": "/v1/x"}
    assert worker.base == f"https://127.0.0.1:{port}"


@asynccontextmanager
async def worker_of(
    version: Any,
    *,
    status: int = 200,
    ready_for: int | None = None,
    tools: Any = None,
    workers: Any = None,
) -> AsyncIterator[str]:
    """Serve what a worker says of itself, its tools and its group, and other paths' names there.

    After ``ready_for`` answers it gives 503, as in a rebalance.
    """
    answered = 0

    async def answer(request: web.BaseRequest) -> web.Response:
        nonlocal answered
        answered += 1
        if ready_for is not None and answered > ready_for:
            return web.json_response({}, status=503)
        bodies = {"/version": version, "/v1/tools": tools, "/v1/workers": {"workers": workers}}
        body = bodies.get(request.path, {"path": request.path})
        return web.json_response(body, status=status)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def test_worker_of_the_group_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is said where all is as it should be."""
    async with worker_of(OWN) as url, WorkerAccess(Settings(), url) as worker:
        assert await worker.get("/v1/x") == {"path": "/v1/x"}

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("version", "status", "problem"),
    [
        (
            OWN | {"app_id": "shop"},
            200,
            "is of the group 'shop', not 'streamapp': use --url, or set STREAMAPP_APP_ID",
        ),
        ({"path": "/version"}, 200, "is no worker of streamapp: use --url"),
        ([], 200, "is no worker of streamapp: use --url"),
        ({}, 404, "is no worker of streamapp: use --url"),
        ({}, 401, "does not take our key: set STREAMAPP_API_KEYS to one of its own"),
        ({}, 503, "answers 503: is the worker ready?"),
    ],
    ids=["other-group", "other-program", "no-object", "no-version", "key", "not-ready"],
)
async def test_what_answers_is_looked_at_before_it_is_believed(
    version: Any, status: int, problem: str
) -> None:
    """Results of another group, such as a demo's on the same port, are not shown as ours."""
    async with worker_of(version, status=status) as url, WorkerAccess(Settings(), url) as worker:
        with pytest.raises(StreamappError) as caught:
            await worker.get("/v1/x")

    assert problem in str(caught.value)


OTHER_BROKERS = OWN | {"brokers": ["kafka-1:9092", "kafka-2:9092"]}
USES = "uses the brokers kafka-1:9092, kafka-2:9092, not localhost:9092"


async def test_worker_of_other_brokers_is_asked_where_it_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One broker has several names, so that this is said and nothing is refused."""
    async with worker_of(OTHER_BROKERS) as url, WorkerAccess(Settings(), url) as worker:
        assert await worker.get("/v1/x") == {"path": "/v1/x"}
        await worker.get("/v1/y")

    assert capsys.readouterr().err.count(f"{USES}: if they are others") == 1


async def test_worker_of_other_brokers_is_not_asked_by_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two apps of one machine have one address by default: the other's figures are not ours."""
    async with worker_of(OTHER_BROKERS) as url:
        settings = Settings(web_port=int(url.rpartition(":")[2]))
        with pytest.raises(StreamappError) as stats:
            await _asked(settings, "haiku", None)
        async with WorkerAccess(settings) as worker:
            await AskedWorker(worker).begin()
        assert await _costs(settings, None) == {}

    told = [str(stats.value), *capsys.readouterr().err.splitlines()]
    assert [f"{USES}, and is taken for another app's: use --url" in line for line in told] == [
        True
    ] * 3
    assert all("or set STREAMAPP_BROKER" in line for line in told)


@pytest.mark.parametrize("name", ["127.0.0.1:9092", "[::1]:9092", "LOCALHOST:9092"])
async def test_worker_names_the_same_brokers_in_another_way(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The machine itself has three names, and case means nothing."""
    async with worker_of(OWN | {"brokers": [name]}) as url:
        settings = Settings(web_port=int(url.rpartition(":")[2]))
        async with WorkerAccess(settings) as worker:
            assert await worker.get("/v1/x") == {"path": "/v1/x"}

    assert capsys.readouterr().err == ""


async def test_key_that_is_not_taken_is_no_worker_that_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`explain` says what is wrong: to start another worker would not help."""
    async with worker_of({}, status=401) as url, WorkerAccess(Settings(), url) as worker:
        asked = AskedWorker(worker)
        await asked.begin()
        assert not asked.answers

    said = capsys.readouterr().err
    assert said.startswith("caches are not looked at: the worker at ")
    assert "does not take our key: set STREAMAPP_API_KEYS" in said


async def test_other_group_is_named_where_its_answer_is_not_needed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`explain` and `flows` go on without a worker, and say whose it is that they found."""
    async with worker_of(OWN | {"app_id": "shop"}) as url:
        async with WorkerAccess(Settings(), url) as worker:
            await AskedWorker(worker).begin()
        assert await _costs(Settings(), url) == {}

    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "caches are not looked at",
        "costs are unknown",
    ]
    assert all("of the group 'shop'" in line for line in lines)


async def test_worker_in_a_rebalance_ends_no_explanation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Calls are `possible` from then on; it is asked no more, which is said once."""
    settings = load_settings(_env_file=None, cache_ttl_s=60)
    prompts = PromptRegistry.load(Path("nowhere"))
    record = {"type": "summarize", "text": "Kafka is a log."}
    async with worker_of(OWN, ready_for=2) as url, WorkerAccess(settings, url) as worker:
        asked = AskedWorker(worker)
        await asked.begin()
        assert asked.answers
        answers = SharedAnswers(ttl_s=60, kept=asked.kept)
        dry_run = DryRun(settings, prompts, answers=answers)
        lines = [
            Line(number, json.dumps({**record, "id": f"x{number}", "max_words": number}).encode())
            for number in (1, 2)
        ]
        found = [await dry_run.explain(line, None) for line in lines]
        steps = [await asked.steps(line.value) for line in lines]

    assert [one.cache for one in found] == ["possible", "possible"]
    assert steps == [(), ()]
    assert capsys.readouterr().err.count("answers 503") == 1


async def test_tools_that_no_server_offers_the_worker_are_named(tmp_path: Path) -> None:
    """`explain` says what a record would be answered without, as its answer would."""
    (tmp_path / "desk.md").write_text("---\ntools: [orders.get, orders.pay, files.*]\n---\nHello")
    mcp = {name: {"command": ["none"], "allow": ["*"]} for name in ("orders", "files")}
    settings = load_settings(_env_file=None, mcp=mcp)
    get = {"name": "orders.get", "source": "mcp.orders", "description": "", "timeout_s": 3.0}
    told = {
        "tools": [{**get, "parameters": {"type": "object"}}],
        "servers": [{"name": name, "state": "away", "tools": 0} for name in mcp],
    }
    async with worker_of(OWN, tools=told) as url, WorkerAccess(settings, url) as worker:
        offered = await AskedWorker(worker).offered()
    prompts = PromptRegistry.load(tmp_path)
    line = Line(1, b'{"type": "generate", "prompt": "desk", "id": "d"}')

    found = await DryRun(settings, prompts, offered=offered).explain(line, None)
    unknown = await DryRun(settings, prompts).explain(line, None)

    assert found.problem == ""
    assert list(found.missing_tools) == ["files.*", "orders.pay"]
    assert (
        "    without files.*, orders.pay: no MCP server has it at the worker asked"
        in _text(found).splitlines()
    )
    assert list(unknown.missing_tools) == []


SHARED = {"url": "http://one:6066", "members": 3, "partitions": [0, 1], "now": {}}
AWAY = {"url": "http://two:6066", "members": 1, "partitions": [2], "now": None}


async def test_commands_have_a_variable_of_their_own() -> None:
    """What a worker is told of itself is no address for commands where they have one."""
    async with worker_of(OWN) as url:
        settings = Settings(worker_url=url, web_url="http://127.0.0.1:1")
        async with WorkerAccess(settings) as worker:
            assert await worker.get("/v1/x") == {"path": "/v1/x"}


async def test_check_names_an_address_of_several_workers() -> None:
    """And, as a note, a worker that the others do not reach."""
    async with worker_of(OWN, workers=[SHARED, AWAY]) as url:
        wrong, note = await workers(Settings(worker_url=url))

    assert not wrong.ok
    assert "3 workers name http://one:6066 as their address" in wrong.detail
    assert note.is_note
    assert "http://two:6066 does not answer the others" in note.detail


def with_types(url: str, *types: str) -> dict[str, Any]:
    known = [*Registry.load().types, *types]
    return {"url": url, "members": 1, "now": {"types": known}}


async def test_check_names_a_worker_that_lacks_types_of_others() -> None:
    """A third of their records were dead letters, and nothing else told why."""
    told = [with_types("http://one", "ticket"), with_types("http://two")]
    async with worker_of(OWN, workers=[*told, {**SHARED, "members": 1}]) as url:
        [finding] = await workers(Settings(worker_url=url))

    assert not finding.ok
    assert "http://two does not know ticket, as others do" in finding.detail
    assert "STREAMAPP_PROCESSORS" in finding.detail


async def test_check_notes_types_that_no_worker_knows_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sends one before the workers are started anew gets dead letters."""
    (tmp_path / "tickets_of_check.py").write_text(
        "from streamapp.processors import processor\n"
        "from streamapp.records.request import Request\n"
        'class Ticket(Request, type="ticket-of-check"):\n    "A ticket."\n'
        "@processor(Ticket)\n"
        'async def ticket(request, llm):\n    "Answer it."\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    async with worker_of(OWN, workers=[with_types("http://one")]) as url:
        [note] = await workers(Settings(worker_url=url, processors="tickets_of_check"))
        [same] = await workers(Settings(worker_url=url))

    assert (note.ok, note.is_note) == (True, True)
    assert "no worker knows ticket-of-check, which these settings do" in note.detail
    assert not same.is_note


async def test_check_says_where_no_worker_of_the_group_answers() -> None:
    """It is not wrong: whoever checks before the start has none."""
    own = {**SHARED, "members": 1}
    async with worker_of(OWN, workers=[own, own]) as url:
        [finding] = await workers(Settings(worker_url=url))
    async with worker_of(OWN | {"app_id": "shop"}) as url:
        [other] = await workers(Settings(worker_url=url))
    [none] = await workers(Settings(worker_url=url))

    assert (finding.ok, finding.detail) == (True, "2 workers, each asked at its address")
    assert (other.ok, other.is_note) == (True, True)
    assert other.detail == f"the worker at {url} is of the group 'shop', not 'streamapp'"
    assert (none.ok, none.is_note, none.detail) == (True, False, f"none answers at {url}")


async def test_no_worker_is_taken_for_a_records_own_behind_a_shared_address(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its cache is that of one of several; the reason is said."""

    async def count() -> int:
        return 2

    async with worker_of(OWN, workers=[SHARED]) as url, WorkerAccess(Settings(), url) as worker:
        found = await AskedWorker(worker).workers(count)

    assert found.of(b"key") is None
    assert "3 workers name http://one:6066 as their address" in capsys.readouterr().err
