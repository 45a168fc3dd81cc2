"""The estimate of the tokens that a call will use, corrected by what answers used."""

from typing import Any

from streamapp.llm.completion import Call

#: Of English text; what differs from it is learned.
CHARS_PER_TOKEN = 4.0
#: Length of an answer, where the call does not bound it.
ANSWER_TOKENS = 256.0
#: What each answer leaves of the ones before it.
_MEMORY = 0.98


def estimated_tokens(call: Call) -> float:
    """Return the tokens of question and answer: characters / 4 and ``max_tokens``."""
    if call.operation == "embeddings":
        return question_tokens(call)
    parameters = call.parameters
    answer = parameters.get("max_completion_tokens") or parameters.get("max_tokens")
    return question_tokens(call) + (answer or ANSWER_TOKENS)


def question_tokens(call: Call) -> float:
    """Return the tokens of the question alone: characters / 4."""
    if call.operation == "embeddings":
        # The tokens of an input, where it comes as such, are counted already.
        return sum(
            len(one) / CHARS_PER_TOKEN if isinstance(one, str) else len(one) for one in call.inputs
        )
    return sum(_chars(message.get("content")) for message in call.messages) / CHARS_PER_TOKEN


class TokenEstimate:
    """The estimate of one target, corrected by what its last answers used."""

    def __init__(self) -> None:
        self._estimated = self._used = 0.0

    def of(self, call: Call) -> float:
        """Return the tokens to reserve, > 0."""
        factor = self._used / self._estimated if self._estimated else 1.0
        return max(estimated_tokens(call) * factor, 1.0)

    def correct(self, call: Call, used: float) -> None:
        """Learn from an answer: the next estimates come nearer to ``used`` tokens."""
        self._estimated = self._estimated * _MEMORY + estimated_tokens(call)
        self._used = self._used * _MEMORY + used


def _chars(content: Any) -> int:
    if isinstance(content, str):
        return len(content)
    if isinstance(content, list):
        return sum(len(str(part.get("text", ""))) for part in content if isinstance(part, dict))
    return 0
