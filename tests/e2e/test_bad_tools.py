"""Tools and MCP servers that do what none should, in one real worker: it lives, budgets hold."""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.stage import Record, Stage
from tests.support.bad_tools import write_prompts
from tests.support.kafka import KafkaBroker
from tests.support.mcp_serving import serving
from tests.support.odd_mcp_server import CANARY
from tests.support.process import free_port
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

EACH = 3
#: Tokens of one tenant, after which no call of the model begins.
BUDGET = 2_000
CONFIG = """
[providers.openai]
kind = "openai"
base_url = "{provider}"
api_key_env = "OPENAI_API_KEY"

[models.default]
targets = ["openai/fake-model"]

[budgets.each]
limit_tokens = {budget}
per = "tenant"
action = "dead_letter"

[mcp.orders]
command = ["{python}", "-m", "tests.support.mcp_server"]
env = ["PYTHONPATH"]
allow = ["get_*"]
timeout_s = 60

[mcp.odd]
command = ["{python}", "-m", "tests.support.odd_mcp_server"]
env = ["PYTHONPATH"]
allow = ["*"]
timeout_s = 60

[mcp.dying]
command = ["{python}", "-m", "tests.support.odd_mcp_server"]
env = ["PYTHONPATH"]
allow = ["die"]
timeout_s = 10

[mcp.silent]
command = ["{python}", "-m", "tests.support.odd_mcp_server"]
env = ["PYTHONPATH"]
allow = ["hang"]
timeout_s = 10

[mcp.shop]
url = "http://127.0.0.1:{port}/mcp"
allow = ["get_order"]
timeout_s = 60

[mcp.gone]
url = "http://127.0.0.1:{nobody}/mcp"
allow = ["*"]
timeout_s = 0.5
"""
#: Prompt -> the tool that its model may call, and what the record is answered with.
TOOLS = {
    "hang": "hang",
    "text": "big_text",
    "list": "big_list",
    "object": "no_json",
    "raises": "raises",
    "leaves": "leaves",
    "orders-you": "orders_you",
    "fine": "fine",
    "mcp-order": "orders.get_order",
    "mcp-more": "orders.get_more",
    "mcp-late": "orders.get_late",
    "mcp-shop": "shop.get_order",
    "mcp-gone": "gone.*",
    **{f"odd-{name}": f"odd.{name}" for name in ("junk", "big", "last", "wrong")},
    "dying": "dying.die",
    "silent": "silent.hang",
}
#: What the records of a prompt come to, but for those that are answered.
DEAD = {"object": "internal", "raises": "internal", "leaves": "internal"}
#: What the model is told, where it is not told that all is well.
OUTCOMES = {
    "hang": {"timeout"},
    "big_text": {"too_large"},
    "big_list": {"too_large"},
    "no_json": {"failed"},
    "raises": {"failed"},
    "leaves": {"failed"},
    "odd.big": {"error"},
    "odd.last": {"error"},
    "odd.wrong": {"error"},
    "silent.hang": {"timeout"},
    "dying.die": {"error"},
}


def asked(prompt: str, number: int, **script: Any) -> Record:
    """Return a record of a tenant of its own, whose model calls the tool of its prompt."""
    id_ = f"{prompt}-{number}"
    text = f"{id_} [[fake:{json.dumps({'calls': 1} | script)}]]"
    fields = {"type": "generate", "prompt": prompt, "variables": {"question": text}}
    value = {"id": id_, "cache": False, "metadata": {"tenant": id_}, **fields}
    return Record(json.dumps(value).encode(), id_.encode())


async def page(worker: WorkerProcess, path: str) -> str:
    """Return a page of the worker."""
    url = f"http://127.0.0.1:{worker.port}{path}"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return await response.text()


async def told(worker: WorkerProcess) -> dict[str, dict[str, int]]:
    """Return how often each tool came to which outcome."""
    found: dict[str, dict[str, int]] = {}
    for family in text_string_to_metric_families(await page(worker, "/metrics")):
        for sample in family.samples:
            if sample.name == "streamapp_tool_calls_total" and sample.value:
                labels = sample.labels
                found.setdefault(labels["tool"], {})[labels["outcome"]] = int(sample.value)
    return found


async def offers(worker: WorkerProcess, tool: str) -> bool:
    """Whether a record that comes now may use the tool."""
    return tool in [one["name"] for one in json.loads(await page(worker, "/v1/tools"))["tools"]]


async def ready(worker: WorkerProcess, *, degraded: list[str]) -> None:
    """Wait until the worker misses those MCP servers alone."""
    async with asyncio.timeout(90):
        while True:
            state = json.loads(await page(worker, "/readyz"))
            if [one for one in state["degraded"] if one.startswith("mcp.")] == degraded:
                return
            await asyncio.sleep(0.2)


async def test_a_worker_lives_with_bad_tools_and_servers(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Each comes to what docs/agents.md says; nothing is lost, and no budget is overdrawn."""
    directory, port = tmp_path / "worker-0", free_port()
    write_prompts(directory / "prompts", **TOOLS, loop="fine", forty="fine")
    async with Stage(kafka, tmp_path) as stage, AsyncExitStack() as running:
        await running.enter_async_context(serving(port))
        (directory / "streamapp.toml").write_text(
            CONFIG.format(
                provider=stage.provider.base_url,
                python=sys.executable,
                port=port,
                nobody=free_port(),
                budget=BUDGET,
            )
        )
        await stage.open()
        worker = await stage.ready_worker(tools="tests.support.bad_tools", deadline_s=120)
        await ready(worker, degraded=["mcp.gone"])
        pid = worker.pid

        records = [asked(prompt, number) for prompt in TOOLS for number in range(EACH)]
        records += [asked("loop", number, for_ever=True) for number in range(EACH)]
        records += [asked("forty", number, calls=40) for number in range(EACH)]
        await stage.produce(records)
        await stage.settle(len(records))
        outcomes = await told(worker)

        # A server whose list has changed offers the new tool to the next record.
        records.append(asked("mcp-late", EACH))
        await until(lambda: offers(worker, "orders.get_late"), 60, state=worker.tail)
        await stage.produce(records[-1:])
        await stage.settle(len(records))
        after = await told(worker)
        # One that is away is an error of its tools, and is used again when it is back.
        await running.aclose()
        records.append(asked("mcp-shop", EACH))
        await stage.produce(records[-1:])
        await stage.settle(len(records))
        while_away = await told(worker)
        await running.enter_async_context(serving(port))
        await ready(worker, degraded=["mcp.gone"])
        records.append(asked("mcp-shop", EACH + 1))
        await stage.produce(records[-1:])
        report = await stage.settle(len(records))
        back = await told(worker)
        kinds = {
            id_: found[0].kind or json.loads(found[0].value or b"")["status"]
            for id_, found in stage.verifier.outcomes.items()
        }
        without = {
            id_: json.loads(found[0].value or b"").get("missing_tools")
            for id_, found in stage.verifier.outcomes.items()
            if kinds[id_] == "ok"
        }
        calls = [call.message.split(" ")[0] for call in stage.provider.calls]

    assert [*report.missing, *report.unequal, *report.overcommitted] == []
    for id_, kind in kinds.items():
        prompt = id_.rpartition("-")[0]
        limited = "step_limit" if prompt in ("loop", "forty") else "ok"
        assert kind == DEAD.get(prompt, limited), id_
    assert [without[f"mcp-gone-{number}"] for number in range(EACH)] == [["gone.*"]] * EACH
    # Before the list had changed, records were answered without the late tool, and behind it with.
    late = {f"mcp-late-{number}" for number in range(EACH)}
    assert {id_ for id_, names in without.items() if names} - late == {
        f"mcp-gone-{number}" for number in range(EACH)
    }
    for tool in TOOLS.values():
        if tool in ("gone.*", "orders.get_late"):
            continue
        assert outcomes[tool].keys() == OUTCOMES.get(tool, {"ok"}), tool
    earlier = outcomes.get("orders.get_late", {}).get("ok", 0)
    assert after["orders.get_late"] == {"ok": earlier + 1}
    assert while_away["shop.get_order"] == {"ok": EACH, "error": 1}
    assert back["shop.get_order"] == {"ok": EACH + 1, "error": 1}
    [loops] = {calls.count(f"loop-{number}") for number in range(EACH)}
    assert 2 < loops < 50
    assert {calls.count(f"forty-{number}") for number in range(EACH)} == {1}
    assert worker.pid == pid
    log = worker.log.read_text()
    assert CANARY not in log
    assert "TOOL-CANARY" not in log
