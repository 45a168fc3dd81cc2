"""What is not OpenAI's within a request: for those alone that say they take it."""

from typing import Any

import pytest

from streamapp.llm.providers.shapes.beside_openai import OTHERS, of_openai

MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize("taken", [frozenset[str](), frozenset({"cache_control"})])
def test_foreign_fields_go_to_those_who_take_them(taken: frozenset[str]) -> None:
    """A mark of another vendor's cache is left out of turns, parts and tools, or kept."""
    kept: dict[str, Any] = MARK if taken else {}

    def body(mark: dict[str, Any], thought: dict[str, Any]) -> dict[str, Any]:
        return {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a", **mark}]},
                {"role": "assistant", "content": "b", **thought},
            ],
            "tools": [{"type": "function", "function": {"name": "f"}, **mark}],
        }

    given = body(MARK, {"reasoning_content": "hm"})

    assert of_openai(given, OTHERS - taken) == body(kept, {})
    assert given == body(MARK, {"reasoning_content": "hm"})
