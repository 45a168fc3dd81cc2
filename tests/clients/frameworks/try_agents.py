"""OpenAI's Agents SDK, by both APIs."""

from typing import Any

import openai
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from openai.types.shared import Reasoning

from frameworks.asked import KEY, MODEL, QUESTION, URL, Weather, type_of, weather

set_tracing_disabled(True)
CLIENT = openai.AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0)
RESPONSES = OpenAIResponsesModel(MODEL, CLIENT)
CHAT = OpenAIChatCompletionsModel(MODEL, CLIENT)
TOOLS: Any = [function_tool(weather)]


async def tools() -> Any:
    """A tool called, run, and its result answered, by both APIs."""
    found = []
    for model in (RESPONSES, CHAT):
        agent = Agent(name="a", model=model, instructions="Be kind.", tools=TOOLS)
        found.append((await Runner.run(agent, QUESTION)).final_output)
    return found


async def stream() -> Any:
    """The same in streams."""
    found = []
    for model in (RESPONSES, CHAT):
        agent = Agent(name="a", model=model, tools=TOOLS)
        streamed = Runner.run_streamed(agent, QUESTION)
        kinds = {event.type async for event in streamed.stream_events()}
        found.append([streamed.final_output, "run_item_stream_event" in kinds])
    return found


async def structured() -> Any:
    """A class of the last answer."""
    found = []
    for model in (RESPONSES, CHAT):
        agent = Agent(name="b", model=model, output_type=Weather)
        found.append(type_of((await Runner.run(agent, QUESTION)).final_output))
    return found


async def handoff() -> Any:
    """One agent hands over to another, which answers."""
    other = Agent(name="other", model=RESPONSES)
    first = Agent(name="first", model=RESPONSES, handoffs=[other])
    ended = await Runner.run(first, QUESTION)
    return [ended.last_agent.name, ended.final_output]


async def settings() -> Any:
    """What its settings may say, in a session of two turns."""
    said = ModelSettings(
        temperature=0.5,
        max_tokens=99,
        parallel_tool_calls=False,
        tool_choice="auto",
        store=False,
        verbosity="low",
        reasoning=Reasoning(effort="low", summary="auto"),
        response_include=["reasoning.encrypted_content"],
        metadata={"team": "a"},
        truncation="disabled",
        top_logprobs=1,
    )
    agent = Agent(name="c", model=RESPONSES, tools=TOOLS, model_settings=said)
    session = SQLiteSession("s")
    await Runner.run(agent, QUESTION, session=session)
    return (await Runner.run(agent, QUESTION, session=session)).final_output
