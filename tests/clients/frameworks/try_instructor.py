"""Instructor: structured output by each of its modes."""

from collections.abc import Iterable
from typing import Any

import instructor
import openai

from frameworks.asked import KEY, MESSAGES, MODEL, URL, Weather, type_of

CLIENT = openai.OpenAI(base_url=URL, api_key=KEY, max_retries=0)
ASKED: Any = {"model": MODEL, "messages": MESSAGES, "max_retries": 0}


def _by(mode: instructor.Mode) -> str:
    client = instructor.from_openai(CLIENT, mode=mode)
    return type_of(client.chat.completions.create(response_model=Weather, **ASKED))


def tools() -> Any:
    """By a tool that must be called."""
    return _by(instructor.Mode.TOOLS)


def tools_strict() -> Any:
    """By a strict tool."""
    return _by(instructor.Mode.TOOLS_STRICT)


def json_schema() -> Any:
    """By the schema of a text."""
    return _by(instructor.Mode.JSON_SCHEMA)


def responses_tools() -> Any:
    """By a tool of the other API."""
    return _by(instructor.Mode.RESPONSES_TOOLS)


def several() -> Any:
    """By several calls of tools at once."""
    client = instructor.from_openai(CLIENT, mode=instructor.Mode.PARALLEL_TOOLS)
    found = client.chat.completions.create(response_model=Iterable[Weather], **ASKED)
    return [type_of(one) for one in found]


def partial() -> Any:
    """In a stream, more of it with each piece."""
    client = instructor.from_openai(CLIENT)
    *_, last = client.chat.completions.create_partial(response_model=Weather, **ASKED)
    return sorted(last.model_dump())
