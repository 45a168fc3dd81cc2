"""Prompts with tools: records become agents without code of their own."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamapp.errors import ConfigurationError, PromptError
from streamapp.llm.routing.routes import Routes
from streamapp.processors.registry import Registry
from streamapp.processors.router import Router
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings.loading import load_settings
from streamapp.telemetry.metrics import Metrics
from streamapp.tools import tool
from streamapp.tools.catalogue import ToolCatalogue
from streamapp.tools.loop import ToolLoop
from streamapp.tools.observer import MeteredTools, ToolMeter
from tests.fakes import FakeProvider
from tests.unit.tools.agents import AwayServer, Kept, calling

RECORD = b'{"type": "generate", "prompt": "desk", "variables": {"wish": "too late"}}'


@tool(name="shop.order")
async def order(number: str) -> dict[str, str]:
    """Look an order up."""
    return {"number": number, "state": "lost"}


def router(
    tmp_path: Path,
    llm: FakeProvider,
    *servers: AwayServer,
    head: str,
    meter: ToolMeter | None = None,
) -> Router:
    (tmp_path / "desk.md").write_text(f"---\n{head}\n---\n{{{{ wish }}}}")
    settings = load_settings(
        providers={"fake": {"kind": "offline"}}, models={"default": {"targets": ["fake/m"]}}
    )
    return Router(
        registry=Registry.load(),
        prompts=PromptRegistry.load(tmp_path),
        routes=Routes(settings, {"fake": llm}),
        deadline_s=90,
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
        tools=ToolLoop(ToolCatalogue([order], servers), MeteredTools(meter)),
    )


async def test_a_prompt_with_tools_makes_a_record_an_agent(tmp_path: Path) -> None:
    """Its model may call the tools that its front matter names, by pattern, too."""
    llm = FakeProvider()
    llm.enqueue(calling(("shop__order", {"number": "7"})), "It is lost.")
    agents = router(tmp_path, llm, head="tools: [shop.*]\nmax_steps: 3")

    answer = await agents.answer(agents.decode(RECORD), id="r", key=None)

    assert not agents.problems()
    assert answer.response.output == "It is lost."
    assert answer.response.finish_reason == "stop"
    assert answer.response.tool_calls is None
    assert llm.history[1].messages[-1]["content"] == '{"number":"7","state":"lost"}'
    assert answer.response.usage.input_tokens == 6


async def test_an_answer_names_the_tools_that_no_server_had(tmp_path: Path) -> None:
    """A server that never came up ends no record; it is told in the answer, the log, a metric."""
    llm, metrics = FakeProvider(), Metrics()
    llm.enqueue("I cannot look it up.")
    head = "tools: [shop.order, orders.get_order, files.*]"
    agents = router(
        tmp_path, llm, AwayServer("orders"), AwayServer("files"), head=head, meter=metrics
    )

    with capture_logs() as lines:
        answer = await agents.answer(agents.decode(RECORD), id="r", key=None)

    assert answer.response.missing_tools == ["files.*", "orders.get_order"]
    assert b'"missing_tools":["files.*","orders.get_order"]' in answer.response.encode()
    told = [line for line in lines if line["event"] == "tools.missing"]
    assert [line["tools"] for line in told] == [["files.*", "orders.get_order"]]
    assert b'streamapp_tools_missing_total{tool="files.*"} 1.0' in metrics.text()


async def test_an_answer_with_all_its_tools_names_none(tmp_path: Path) -> None:
    """The field is left out: most records have no tools at all."""
    llm = FakeProvider()
    agents = router(tmp_path, llm, AwayServer("orders"), head="tools: [shop.order]")

    answer = await agents.answer(agents.decode(RECORD), id="r", key=None)

    assert answer.response.missing_tools is None
    assert b"missing_tools" not in answer.response.encode()


async def test_a_redelivered_agent_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed after its tool, it asks for the answer alone, and names the same prompt and label."""
    llm = FakeProvider()
    agents = router(tmp_path, llm, head="tools: [shop.order]")
    llm.enqueue(calling(("shop__order", {"number": "7"})), "It is lost.")
    kept = Kept()
    first = await agents.answer(agents.decode(RECORD), id="r", key=None, store=kept)
    del kept["3"]

    llm.enqueue("It is lost.")
    again = await agents.answer(agents.decode(RECORD), id="r", key=None, store=kept)

    assert len(llm.history) == 3
    assert again.response.output == first.response.output
    assert again.response.usage == first.response.usage
    assert again.response.prompt == first.response.prompt
    assert again.response.prompt is not None
    assert again.response.prompt.label == "production"


async def test_a_single_call_of_an_agent_costs_no_entry(tmp_path: Path) -> None:
    """An agent that needs no tool is one call: the record's own entry is its step."""
    llm = FakeProvider()
    agents = router(tmp_path, llm, head="tools: [shop.order]")
    kept = Kept()

    await agents.answer(agents.decode(RECORD), id="r", key=None, store=kept)

    assert not kept


async def test_a_tool_of_no_server_names_its_table(tmp_path: Path) -> None:
    """A name with a dot is more often one of an MCP server than of a module."""
    [problem] = router(tmp_path, FakeProvider(), head="tools: [files.read]").problems()

    assert problem.endswith(
        "there is no tool 'files.read': is there a table [mcp.files], with it in `allow`?"
        " Or is its module in STREAMAPP_TOOLS?"
    )


async def test_a_tool_that_nobody_has_is_found_at_start(tmp_path: Path) -> None:
    """With file, line and what to change; a record that comes all the same is a prompt error."""
    agents = router(tmp_path, FakeProvider(), head="tools: [order, shop.*]")

    [problem] = agents.problems()

    assert problem.endswith("line 2: there is no tool 'order': is its module in STREAMAPP_TOOLS?")
    with pytest.raises(PromptError, match="no tool 'order'"):
        await agents.answer(agents.decode(RECORD), id="r", key=None)


async def test_a_name_that_cannot_be_a_tool_is_refused(tmp_path: Path) -> None:
    """Where the file is read."""
    with pytest.raises(ConfigurationError, match=r"line 2: field 'tools\.0'"):
        router(tmp_path, FakeProvider(), head='tools: ["sh*p"]')
