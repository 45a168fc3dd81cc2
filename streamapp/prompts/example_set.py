"""A set of few-shot examples as its source gives it."""

import json
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from streamapp.errors import PromptError
from streamapp.prompts.template import Variable
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
_SET = TypeAdapter(list[Example])


def parse_examples(data: bytes) -> tuple[Example, ...]:
    """Return the set that the bytes hold: a JSON array, or one JSON object a line.

    Raises:
        PromptError: They hold none.
    """
    if len(data) > SET_LIMIT:
        raise PromptError(f"the set is longer than {SET_LIMIT:,} bytes")
    text = data.strip()
    if not text.startswith(b"["):
        text = b"[%b]" % b",".join(line for line in text.splitlines() if line.strip())
    try:
        found = _SET.validate_json(text)
    except ValidationError as error:
        problem = f"not a set of examples: {describe(error, Example)}"
    else:
        if 1 <= len(found) <= COUNT_LIMIT:
            return tuple(found)
        problem = f"a set has 1 to {COUNT_LIMIT} examples, not {len(found)}"
    raise PromptError(problem)  # outside of the block: pydantic's error holds the values
