"""LiteLLM, to which a worker is an OpenAI-compatible server."""

from typing import Any

from frameworks.asked import KEY, MESSAGES, QUESTION, TOLD, TOOL, URL, Weather, type_of

import litellm  # isort: skip  # where its prices are is said above

WHERE: Any = {"api_base": URL, "api_key": KEY, "max_retries": 0}
ASK: Any = {"model": "openai/default", **WHERE}


def completion() -> Any:
    """A question."""
    return litellm.completion(messages=MESSAGES, **ASK).choices[0].message.content


async def stream() -> Any:
    """A stream, with the usage at its end."""
    options = {"include_usage": True}
    stream = await litellm.acompletion(
        messages=MESSAGES, stream=True, stream_options=options, **ASK
    )
    chunks = [chunk async for chunk in stream]
    whole: Any = litellm.stream_chunk_builder(chunks)
    return [whole.choices[0].message.content, type_of(whole.usage)]


def tools() -> Any:
    """A tool called, and its result answered."""
    asked = litellm.completion(messages=MESSAGES, tools=[TOOL], **ASK).choices[0].message
    (call,) = asked.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": TOLD}
    turns = [*MESSAGES, asked, result]
    return litellm.completion(messages=turns, tools=[TOOL], **ASK).choices[0].message.content


def structured() -> Any:
    """Structured output by a class."""
    answer = litellm.completion(messages=MESSAGES, response_format=Weather, **ASK)
    return sorted(Weather.model_validate_json(answer.choices[0].message.content).model_dump())


def text() -> Any:
    """The older API."""
    ask = ASK | {"model": "text-completion-openai/default"}
    return litellm.text_completion(prompt=QUESTION, **ask).choices[0].text


def embedding() -> Any:
    """Vectors."""
    return [one["embedding"] for one in litellm.embedding(input=["a", "b"], **ASK).data]


def responses() -> Any:
    """The other API, whole and streamed."""
    whole = litellm.responses(input=QUESTION, **ASK)
    deltas = [
        event.delta
        for event in litellm.responses(input=QUESTION, stream=True, **ASK)
        if event.type == "response.output_text.delta"
    ]
    return [whole.output[0].content[0].text, "".join(deltas)]


def failure() -> Any:
    """An unknown model is its own error."""
    try:
        litellm.completion(messages=MESSAGES, model="openai/nobody", **WHERE)
    except litellm.NotFoundError as error:
        return [type_of(error), error.status_code]
    return None


async def router() -> Any:
    """Its router, as proxies use it."""
    deployment = {"model_name": "m", "litellm_params": ASK}
    answer = await litellm.Router([deployment]).acompletion("m", MESSAGES)
    return answer.choices[0].message.content
