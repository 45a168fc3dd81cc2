"""OpenAI's own client, in the version that the frameworks use."""

from typing import Any

import openai

from frameworks.asked import KEY, MESSAGES, MODEL, QUESTION, TOLD, TOOL, URL, Weather, type_of

CLIENT = openai.OpenAI(base_url=URL, api_key=KEY, max_retries=0)
FLAT = {"type": "function", **TOOL["function"]}


def text() -> Any:
    """A legacy completion of two prompts."""
    both = CLIENT.completions.create(model=MODEL, prompt=[QUESTION, QUESTION], max_tokens=99)
    return [choice.text for choice in both.choices]


def chat_stream() -> Any:
    """The helper that gathers a stream: its events, and the whole."""
    with CLIENT.chat.completions.stream(model=MODEL, messages=MESSAGES, tools=[TOOL]) as stream:
        for _ in stream:
            pass
        message = stream.get_final_completion().choices[0].message
    return [call.function.name for call in message.tool_calls or ()]


def chat_parse() -> Any:
    """Structured output and strict tools by classes."""
    parsed = CLIENT.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Weather)
    tool = openai.pydantic_function_tool(Weather)
    asked = CLIENT.chat.completions.parse(model=MODEL, messages=MESSAGES, tools=[tool])
    calls = asked.choices[0].message.tool_calls or ()
    return [type_of(parsed.choices[0].message.parsed)] + [
        type_of(call.function.parsed_arguments) for call in calls
    ]


def responses_tools() -> Any:
    """A tool's call, sent back with its result."""
    asked = CLIENT.responses.create(model=MODEL, input=QUESTION, tools=[FLAT])
    (call,) = asked.output
    result = {"type": "function_call_output", "call_id": call.call_id, "output": TOLD}
    turns: Any = [*MESSAGES, call, result]
    return CLIENT.responses.create(model=MODEL, input=turns, tools=[FLAT]).output_text


def responses_stream() -> Any:
    """The helper that gathers a stream."""
    with CLIENT.responses.stream(model=MODEL, input=QUESTION, text_format=Weather) as stream:
        for _ in stream:
            pass
        return type_of(stream.get_final_response().output_parsed)


def responses_parse() -> Any:
    """Structured output by a class."""
    return type_of(
        CLIENT.responses.parse(model=MODEL, input=QUESTION, text_format=Weather).output_parsed
    )


def embeddings() -> Any:
    """Vectors of tokens, of fewer dimensions."""
    found = CLIENT.embeddings.create(model=MODEL, input=[[1, 2], [3]], dimensions=4)
    return [type_of(item.embedding) for item in found.data]


def models() -> Any:
    """The list, and one of them."""
    return [CLIENT.models.list().data[0].id, CLIENT.models.retrieve(MODEL).id]


def count_input_tokens() -> Any:
    """What is not here is so in the client's own errors."""
    try:
        CLIENT.responses.input_tokens.count(model=MODEL, input=QUESTION)
    except openai.NotFoundError as error:
        return [error.code, type_of(error)]
    return None
