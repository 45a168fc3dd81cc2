"""LlamaIndex: chats, completions, tools and structured output."""

from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from frameworks.asked import KEY, MODEL, QUESTION, URL, Weather, type_of, weather

WHERE: Any = {"model": MODEL, "api_base": URL, "api_key": KEY, "max_retries": 0}
CHAT = OpenAILike(**WHERE, is_chat_model=True, is_function_calling_model=True)
ASKED = [ChatMessage(role="user", content=QUESTION)]
TOOLS = [FunctionTool.from_defaults(fn=weather)]


def chat() -> Any:
    """A question."""
    return CHAT.chat(ASKED).message.content


async def stream() -> Any:
    """A stream."""
    return "".join([chunk.delta or "" async for chunk in await CHAT.astream_chat(ASKED)])


def completion() -> Any:
    """The older API, whole and streamed."""
    model = OpenAILike(**WHERE, is_chat_model=False)
    whole = model.complete(QUESTION).text
    return [whole, "".join(chunk.delta or "" for chunk in model.stream_complete(QUESTION))]


async def tools() -> Any:
    """An agent that streams, calls a tool and answers."""
    agent = FunctionAgent(tools=TOOLS, llm=CHAT, system_prompt="Be kind.", timeout=120)
    return str(await agent.run(QUESTION))


async def agent_without_streams() -> Any:
    """The same without streams."""
    agent = FunctionAgent(tools=TOOLS, llm=CHAT, streaming=False, timeout=120)
    return str(await agent.run(QUESTION))


def structured() -> Any:
    """Structured output by a tool that must be called."""
    return type_of(CHAT.structured_predict(Weather, PromptTemplate(QUESTION)))


def structured_by_schema() -> Any:
    """Structured output by JSON's schema."""
    model = OpenAILike(**WHERE, is_chat_model=True, should_use_structured_outputs=True)
    return type_of(model.structured_predict(Weather, PromptTemplate(QUESTION)))
