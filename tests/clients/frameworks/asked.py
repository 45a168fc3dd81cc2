"""Where the worker is, and what each framework asks of it."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel

# What they would fetch from elsewhere is in the packages: prices, and a tokenizer's table.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
# By its place alone: to import that package takes as long as all others together.
_LITELLM: Any = find_spec("litellm")
os.environ["TIKTOKEN_CACHE_DIR"] = str(
    Path(_LITELLM.origin).parent / "litellm_core_utils" / "tokenizers"
)

URL, KEY, FRAMEWORK = sys.argv[1:4]
MODEL = "default"
QUESTION = f"how is it, {FRAMEWORK}?"
#: What a tool tells, which the fake provider repeats as its answer: it has been told.
TOLD = f'[[fake:{{"text": "sunny for {FRAMEWORK}"}}]]'
#: The same for who asks for JSON in words.
ANSWERS_JSON = '[[fake:{"text": "{\\"sky\\": \\"blue\\", \\"degrees\\": 20}"}]]'
MESSAGES: Any = [{"role": "user", "content": QUESTION}]


class Weather(BaseModel):
    """How the weather is."""

    sky: str
    degrees: int


def weather(place: str) -> str:
    """Tell how the weather is at a place.

    Args:
        place: Its name.
    """
    return TOLD


#: The same as OpenAI describes tools.
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell how the weather is at a place.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}},
            "required": ["place"],
        },
    },
}


def type_of(value: object) -> str:
    """Return the name of a value's class, for what is right whatever is in it."""
    return type(value).__name__
