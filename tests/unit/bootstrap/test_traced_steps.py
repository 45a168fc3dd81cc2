"""The spans of records that make several steps, kept in memory."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from streamapp.bootstrap.tracing import Traced, Untraced
from streamapp.llm.client import LLMClient
from streamapp.llm.costs.prices import prices_of
from streamapp.llm.routing.routes import Routes
from streamapp.processors.registry import Registry, processor
from streamapp.processors.router import Router
from streamapp.prompts.registry import PromptRegistry
from streamapp.records.request import Request
from streamapp.settings.loading import load_settings
from streamapp.telemetry.metrics import Metrics
from streamapp.telemetry.tracing import Tracing
from streamapp.tools import ToolError, tool
from streamapp.tools.catalogue import ToolCatalogue
from streamapp.tools.loop import ToolLoop
from streamapp.tools.observer import MeteredTools
from tests.fakes import FakeClock, FakeProvider
from tests.unit.tools.agents import AwaitedServer, Kept, calling

CANARY = "canary-51d0"


class Shop(Request, type="shop"):
    """A record whose processor takes a step of its own, and then runs an agent."""


@tool(name="shop.order")
async def order(number: str) -> str:
    """Look an order up."""
    if number == "gone":
        raise ToolError(CANARY)
    return CANARY


async def fetch() -> str:
    """Fetch something."""
    return CANARY


@processor(Shop)
async def shop(request: Shop, llm: LLMClient) -> Any:
    """Fetch, and ask with tools."""
    await llm.step("fetch-it", fetch)
    return await llm.chat([{"role": "user", "content": CANARY}], tools=[order])


class World:
    """A router with tracing as bootstrap puts it together."""

    def __init__(self, folder: Path) -> None:
        self.exporter, self.metrics, self.llm = InMemorySpanExporter(), Metrics(), FakeProvider()
        (folder / "desk.md").write_text("---\ntools: [shop.order]\n---\n{{ question }}\n")
        (folder / "late.md").write_text("---\ntools: [orders.*]\n---\n{{ question }}\n")
        settings = load_settings(
            providers={"fake": {"kind": "openai", "base_url": "https://h.example/v1"}},
            models={"default": {"targets": ["fake/m"]}},
        )
        self.tracing = Tracing(SimpleSpanProcessor(self.exporter), service="svc")
        traced: Untraced = Traced(self.tracing, settings)
        prices = prices_of(settings)
        observer = traced.tools(MeteredTools(self.metrics))
        self.router = Router(
            registry=Registry([*Registry.load(()).processors, shop]),
            prompts=PromptRegistry.load(folder),
            routes=Routes(
                settings,
                {"fake": self.llm},
                observed=lambda name, llm: traced.provider(name, llm, prices),
            ),
            deadline_s=90,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
            observer=self.metrics,
            tools=ToolLoop(ToolCatalogue([order], [AwaitedServer(FakeClock())]), observer),
            spans=traced.steps(),
        )

    async def answer(self, request: Any, *, store: Kept | None = None) -> Sequence[ReadableSpan]:
        """Answer a record below a span; return those of the record in the order of their ends."""
        self.exporter.clear()
        with self.tracing.begin("record", "consumer", parent=None):
            await self.router.answer(request, id="r", key=None, store=store)
        return self.exporter.get_finished_spans()[:-1]

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        """Return the series of a counter."""
        return {
            tuple(sample.labels.values()): sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == f"streamapp_{name}_total"
        }


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A router with traces."""
    return World(tmp_path)


def names(spans: Sequence[ReadableSpan]) -> list[str]:
    """Return what the spans are called."""
    return [span.name for span in spans]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """Return what a span says."""
    return dict(span.attributes or {})


def parent(span: ReadableSpan, spans: Sequence[ReadableSpan]) -> str:
    """Return the name of the span above."""
    ids = {one.context.span_id: one.name for one in spans if one.context}
    return ids.get(span.parent.span_id, "record") if span.parent else ""


async def test_each_step_is_a_span(world: World) -> None:
    """Model, tool and own steps, each once and numbered, within their agent."""
    world.llm.enqueue(calling(("shop__order", {"number": "1"})), "here")

    spans = await world.answer(Shop(type="shop"), store=Kept())

    assert names(spans) == [
        "step fetch-it",
        *("chat m", "step model"),
        "execute_tool shop.order",
        *("chat m", "step model"),
        "invoke_agent",
    ]
    by_number = {attributes(one).get("streamapp.step.number"): one for one in spans}
    assert set(by_number) == {None, "1", "2", "3", "4"}
    assert {parent(by_number[number], spans) for number in "234"} == {"invoke_agent"}
    assert parent(by_number["1"], spans) == "record"


async def test_tools_and_agents_speak_the_language_of_genai(world: World) -> None:
    """Their names and attributes are OpenTelemetry's; a failed call names its error's kind."""
    world.llm.enqueue(
        calling(("shop__order", {"number": "1"}), ("shop__order", {"number": "gone"})), "here"
    )
    fields = {"type": "generate", "prompt": "desk", "variables": {"question": CANARY}}

    spans = await world.answer(world.router.decode(str(fields).replace("'", '"').encode()))

    agent = attributes(next(one for one in spans if one.name == "invoke_agent desk"))
    tools = [attributes(one) for one in spans if one.name == "execute_tool shop.order"]
    assert agent == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "desk",
        "gen_ai.request.model": "default",
    }
    assert {one["gen_ai.operation.name"] for one in tools} == {"execute_tool"}
    assert {one["gen_ai.tool.name"] for one in tools} == {"shop.order"}
    assert sorted(str(one.get("error.type")) for one in tools) == ["None", "error"]
    assert CANARY not in "".join(span.to_json() for span in spans)


async def test_the_wait_for_a_server_is_a_span(world: World) -> None:
    """Who looks at a slow record sees which MCP server it waited for, and only once."""
    fields = b'{"type": "generate", "prompt": "late", "variables": {"question": "x"}}'

    first = await world.answer(world.router.decode(fields))
    second = await world.answer(world.router.decode(fields))

    assert names(first) == ["wait for tools", "chat m", "invoke_agent late"]
    assert attributes(first[0]) == {"streamapp.mcp_server": "orders"}
    assert names(second) == ["chat m", "invoke_agent late"]


async def test_what_is_not_made_again_is_seen_as_that(world: World) -> None:
    """Delivered again, each stored step is a span without length, and no tool is executed."""
    world.llm.enqueue(calling(("shop__order", {"number": "1"})), "here")
    kept = Kept()
    await world.answer(Shop(type="shop"), store=kept)

    spans = await world.answer(Shop(type="shop"), store=kept)

    replayed = [one for one in spans if attributes(one).get("streamapp.step.outcome") == "replayed"]
    assert Counter(names(spans)) == Counter(
        ["step fetch-it", "step model", "step shop.order", "step model", "invoke_agent"]
    )
    assert len(replayed) == 4
    assert all(one.end_time == one.start_time or _is_short(one) for one in replayed)


def _is_short(span: ReadableSpan) -> bool:
    return (span.end_time or 0) - (span.start_time or 0) < 1e6


async def test_a_record_of_one_call_has_no_span_more(world: World) -> None:
    """Its attempt's says all."""
    fields = b'{"type": "chat", "messages": [{"role": "user", "content": "Hello"}]}'

    assert names(await world.answer(world.router.decode(fields), store=Kept())) == ["chat m"]


async def test_steps_and_tools_are_counted(world: World) -> None:
    """By kind and end; a call of a tool by its name and what the model was told."""
    world.llm.enqueue(
        calling(("shop__order", {"number": "1"}), ("shop__order", {"number": "gone"})), "here"
    )
    kept = Kept()
    await world.answer(Shop(type="shop"), store=kept)
    await world.answer(Shop(type="shop"), store=kept)

    assert world.counted("steps") == {
        ("step", "done"): 1, ("step", "replayed"): 1,
        ("model", "done"): 2, ("model", "replayed"): 2,
        ("tool", "done"): 2, ("tool", "replayed"): 2,
    }  # fmt: skip
    assert world.counted("tool_calls") == {("shop.order", "ok"): 1, ("shop.order", "error"): 1}
