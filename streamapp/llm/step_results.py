"""Completions as the results of steps: every field that a record reads of them again."""

from decimal import Decimal
from typing import Any

from pydantic_core import from_json, to_json

from streamapp.llm.completion import Completion
from streamapp.records.response import Usage

#: Of the provider's state at that time, and of no use later.
_LEFT_OUT = frozenset({"hints"})


def encode_completion(completion: Completion) -> bytes:
    """Return a completion as JSON."""
    fields = {name: value for name, value in vars(completion).items() if name not in _LEFT_OUT}
    usage = vars(completion.usage)
    cost_usd = completion.cost_usd
    return to_json(
        fields | {"usage": usage, "cost_usd": None if cost_usd is None else format(cost_usd, "f")}
    )


def decode_completion(value: bytes) -> Completion:
    """Return the completion that `encode_completion` wrote; its tokens and cost are its own."""
    fields: dict[str, Any] = from_json(value)
    usage, cost_usd = fields.pop("usage"), fields.pop("cost_usd")
    original = fields.pop("original_usage", None)
    calls = tuple(fields.pop("tool_calls", ()))
    return Completion(
        **fields,
        tool_calls=calls,
        usage=Usage.model_validate(usage),
        original_usage=None if original is None else Usage.model_validate(original),
        cost_usd=None if cost_usd is None else Decimal(cost_usd),
    )
