"""Pydantic AI: agents by both APIs."""

from typing import Any

from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.models.openai import (
    OpenAIChatModel,
    OpenAIChatModelSettings,
    OpenAIResponsesModel,
    OpenAIResponsesModelSettings,
)
from pydantic_ai.providers.openai import OpenAIProvider

from frameworks.asked import ANSWERS_JSON, KEY, MODEL, QUESTION, URL, Weather, type_of, weather

PROVIDER = OpenAIProvider(base_url=URL, api_key=KEY)
CHAT = OpenAIChatModel(MODEL, provider=PROVIDER)
RESPONSES = OpenAIResponsesModel(MODEL, provider=PROVIDER)


async def chat() -> Any:
    """A tool called, run, and its result answered, with what the settings may say."""
    settings = OpenAIChatModelSettings(
        max_tokens=99,
        temperature=0.5,
        parallel_tool_calls=False,
        seed=1,
        openai_user="me",
        openai_reasoning_effort="low",
    )
    agent = Agent(CHAT, tools=[weather], system_prompt="Be kind.", model_settings=settings)
    return (await agent.run(QUESTION)).output


async def stream() -> Any:
    """The same in streams."""
    async with Agent(CHAT, tools=[weather]).run_stream(QUESTION) as streamed:
        return await streamed.get_output()


async def responses() -> Any:
    """The same by the other API, twice: with all turns so far."""
    settings = OpenAIResponsesModelSettings(openai_reasoning_effort="low", max_tokens=99)
    agent = Agent(RESPONSES, tools=[weather], instructions="Be kind.", model_settings=settings)
    first = await agent.run(QUESTION)
    return (await agent.run(QUESTION, message_history=first.all_messages())).output


async def stream_by_responses() -> Any:
    """The other API's streams."""
    async with Agent(RESPONSES, tools=[weather]).run_stream(QUESTION) as streamed:
        return await streamed.get_output()


async def structured() -> Any:
    """Structured output by a tool, a schema, and by both in the other API."""
    found = []
    for model in (CHAT, RESPONSES):
        for way in (ToolOutput, NativeOutput):
            agent: Any = Agent(model, output_type=way(Weather))
            found.append(type_of((await agent.run(QUESTION)).output))
    return found


async def prompted() -> Any:
    """Structured output asked for in words."""
    agent: Any = Agent(CHAT, output_type=PromptedOutput(Weather))
    return type_of((await agent.run(f"{QUESTION} {ANSWERS_JSON}")).output)
