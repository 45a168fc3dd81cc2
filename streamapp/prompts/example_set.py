"""A set of few-shot examples as its source gives it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import from_json

from streamapp.errors import PromptError
from streamapp.prompts.template import Variable
from streamapp.records.framing import without_mark
from streamapp.records.problems import describe

#: Longest set, bytes and examples.
SET_LIMIT, COUNT_LIMIT = 1_000_000, 1_000


class Example(BaseModel):
    """One question and its good answer.

    Attributes:
        variables: Fill the prompt's last part; `Fit` says what is the record's.
        output: The answer, as text or as JSON.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    variables: dict[str, Variable] = Field(min_length=1)
    output: JsonValue

    @property
    def answer(self) -> str:
        """The answer as the assistant's message."""
        is_text = isinstance(self.output, str)
        return str(self.output) if is_text else json.dumps(self.output, ensure_ascii=False)


Examples = Sequence[Example]


def parse_examples(data: bytes) -> tuple[Example, ...]:
    """Return the set that the bytes hold: a JSON array, or one JSON object a line.

    Raises:
        PromptError: They hold none.
    """
    if len(data) > SET_LIMIT:
        raise PromptError(f"the set is longer than {SET_LIMIT:,} bytes")
    found = []
    for place, value in _parts(data):
        try:
            found.append(Example.model_validate(value))
            continue
        except ValidationError as error:
            problem = f"not a set of examples: {place}: {describe(error, Example, value)}"
        raise PromptError(problem)  # outside of the block: pydantic's error holds the values
    if 1 <= len(found) <= COUNT_LIMIT:
        return tuple(found)
    raise PromptError(f"a set has 1 to {COUNT_LIMIT} examples, not {len(found)}")


def _parts(data: bytes) -> Iterator[tuple[str, Any]]:
    """Yield each example as JSON has it, and where it stands; raises as `parse_examples`."""
    data = without_mark(data)
    if data.lstrip().startswith(b"["):
        for number, value in enumerate(_read(data, "it"), start=1):
            yield f"example {number}", value
        return
    for number, line in enumerate(data.splitlines(), start=1):
        if line.strip():
            place = f"line {number}"
            yield place, _read(line, place)


def _read(text: bytes, place: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        problem = f"not a set of examples: {place} is no JSON"
    raise PromptError(problem)
