"""The demo's records and their table."""

import json
import time

from rich.console import Console

from streamapp.cli import demo_agent
from streamapp.cli.answers import answers_table
from streamapp.cli.samples import SampleOutcome, samples
from streamapp.llm.client import LLMClient
from streamapp.llm.completion import Call
from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.steps import Steps
from streamapp.llm.providers.offline import OfflineProvider
from streamapp.processors.registry import Registry
from streamapp.tools.catalogue import ToolCatalogue
from streamapp.tools.loop import ToolLoop


def test_samples_are_valid_and_of_every_type() -> None:
    """Each built-in type, and the demo's agent, has one sample that its processor takes."""
    registry = Registry.load([demo_agent.__name__])

    requests = [registry.decode(json.dumps(r).encode()) for r in samples().values()]

    assert sorted(request.type for request in requests) == sorted(registry.types)


def test_samples_have_new_ids_each_time() -> None:
    """A second run on the same broker is not answered from the ledger."""
    assert not samples().keys() & samples().keys()


async def test_offline_provider_extracts_what_the_sample_says() -> None:
    """The first thing that a new user sees is an answer, not an empty shape."""
    [sample] = [record for record in samples().values() if record["type"] == "extract"]
    deadline = Deadline(9, time.monotonic)
    messages = [{"role": "user", "content": sample["text"]}]
    call = Call(model="m", messages=messages, output_schema=sample["schema"], deadline=deadline)

    completion = await OfflineProvider("offline").complete(call)

    assert json.loads(completion.output) == {
        "number": "2024-117",
        "seller": "Northwind Traders",
        "total": 1249.5,
        "currency": "EUR",
    }


async def test_the_offline_provider_calls_both_tools_of_the_agent() -> None:
    """It gives them what the question says, and its answer holds what they know."""
    client = LLMClient(
        provider=OfflineProvider("offline"),
        call=Call(model="default", deadline=Deadline(9, time.monotonic)),
        steps=Steps(),
        id="r-1",
        tools=ToolLoop(ToolCatalogue()),
    )

    asked = demo_agent.Agent.model_validate(demo_agent.SAMPLE)
    answer = await demo_agent.agent.run(asked, client)

    assert answer.startswith("[offline] When does my parcel come?")
    assert '{"number":"4711","state":"on its way","due":"2030-01-02"}' in answer
    assert '["2030-01-06"]' in answer


def test_table_shows_answers_as_text() -> None:
    """Brackets and escape sequences of an answer are neither markup nor obeyed."""
    usage = {"input_tokens": 1, "output_tokens": 2}
    common = {"provider": "p[x]", "model": "m", "usage": usage, "duration_s": 0.1}
    outcomes = [
        SampleOutcome("chat", {**common, "output": "[bold]brackets[/bold] \x1b[2J"}),
        SampleOutcome("embed", {**common, "output": [[0.12345, 0.5, 1.0, 2.0], [1.0]]}),
        SampleOutcome("classify", {**common, "output": {"label": "a"}}),
        SampleOutcome("extract", failure="dead letter output_invalid: why"),
    ]
    console = Console(width=120)

    with console.capture() as capture:
        console.print(answers_table(outcomes))

    text = capture.get()
    assert "[bold]brackets[/bold] ·[2J" in text
    assert "2 vectors of 4: [0.123, 0.500, 1.000, ...]" in text
    assert '{"label": "a"}' in text
    assert "output_invalid: why" in text
    assert "p[x]" in text


def test_table_says_once_what_provider_and_model_share() -> None:
    """The demo's own provider has one model of its name."""
    usage = {"input_tokens": 1, "output_tokens": 2}
    response = {"provider": "offline", "model": "offline", "usage": usage, "duration_s": 0.1}
    console = Console(width=120)

    with console.capture() as capture:
        console.print(answers_table([SampleOutcome("chat", {**response, "output": "x"})]))

    assert capture.get().count("offline") == 1
