"""LangChain: its chats by both APIs, completions and embeddings."""

from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

from frameworks.asked import ANSWERS_JSON, KEY, MODEL, QUESTION, URL, Weather, type_of, weather

WHERE: Any = {"model": MODEL, "base_url": URL, "api_key": KEY, "max_retries": 0}
CHAT = ChatOpenAI(**WHERE)
RESPONSES = ChatOpenAI(**WHERE, use_responses_api=True)
TOOL = tool(weather)


def _looped(model: ChatOpenAI) -> str:
    """Ask, run the tool that is called, and ask again."""
    with_tools = model.bind_tools([TOOL])
    asked = with_tools.invoke(QUESTION)
    results = [TOOL.invoke(call) for call in asked.tool_calls]
    assert all(isinstance(result, ToolMessage) for result in results)
    return with_tools.invoke([HumanMessage(QUESTION), asked, *results]).text


def invoke() -> Any:
    """A question, with its usage."""
    answer = CHAT.invoke(QUESTION)
    return [answer.text, type_of(answer.usage_metadata)]


def batch() -> Any:
    """Two at once."""
    return [answer.text for answer in CHAT.batch([QUESTION, QUESTION])]


async def stream() -> Any:
    """A stream, with the usage at its end."""
    gathered: Any = None
    async for chunk in ChatOpenAI(**WHERE, stream_usage=True).astream(QUESTION):
        gathered = chunk if gathered is None else gathered + chunk
    return [gathered.text, type_of(gathered.usage_metadata)]


def tools() -> Any:
    """A tool called, run, and its result answered."""
    return _looped(CHAT)


def tools_by_responses() -> Any:
    """The same by the other API."""
    return _looped(RESPONSES)


def tool_choice() -> Any:
    """A tool that must be called, in a stream."""
    gathered: Any = None
    forced = CHAT.bind_tools([TOOL], tool_choice="any", parallel_tool_calls=False)
    for chunk in forced.stream(QUESTION):
        gathered = chunk if gathered is None else gathered + chunk
    return [call["name"] for call in gathered.tool_calls]


def stream_by_responses() -> Any:
    """A stream of the other API."""
    return "".join(chunk.text for chunk in RESPONSES.stream(QUESTION))


def structured() -> Any:
    """Structured output by each of its ways, and by the other API."""
    ways = ("json_schema", "function_calling")
    found = [CHAT.with_structured_output(Weather, method=way).invoke(QUESTION) for way in ways]
    found.append(RESPONSES.with_structured_output(Weather).invoke(QUESTION))
    strict = CHAT.with_structured_output(Weather, method="function_calling", strict=True)
    return [type_of(one) for one in (*found, strict.invoke(QUESTION))]


def json_mode() -> Any:
    """An object of any shape."""
    mode = CHAT.with_structured_output(method="json_mode")
    return type_of(mode.invoke(f"{QUESTION} Answer in JSON. {ANSWERS_JSON}"))


def several() -> Any:
    """Several answers to one question, with the logarithms of their probabilities asked for."""
    model = ChatOpenAI(**WHERE, n=2, temperature=0.5, seed=1, logprobs=True, top_logprobs=2)
    return [one.text for one in model.generate([[HumanMessage(QUESTION)]]).generations[0]]


def completion() -> Any:
    """The older API, whole and streamed."""
    model = OpenAI(**WHERE)
    return [model.invoke(QUESTION), "".join(model.stream(QUESTION))]


def embeddings() -> Any:
    """Vectors with the defaults: as tokens, in base64."""
    model = OpenAIEmbeddings(model=MODEL, base_url=URL, api_key=KEY)
    return [len(model.embed_documents(["a", "b"])), len(model.embed_query("a"))]


def embeddings_of_texts() -> Any:
    """Vectors of texts as they are, with fewer dimensions."""
    model = OpenAIEmbeddings(
        model=MODEL, base_url=URL, api_key=KEY, dimensions=4, check_embedding_ctx_length=False
    )
    return len(model.embed_documents(["a", "b"]))
