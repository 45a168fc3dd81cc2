"""By what two calls are known to be equal."""

from dataclasses import replace
from typing import Any

import pytest

from streamapp.llm.caching.fingerprint import Fingerprints
from tests.unit.llm.calls import LABELS, chat, embeddings

FINGERPRINTS = Fingerprints(["default", "openai/m"])
CALL = chat("hello", parameters={"temperature": 0, "top_p": 1}, tenant="a", prompt="p:1")


def test_equal_calls_have_one_fingerprint() -> None:
    """Deadlines and the order of keys make no difference."""
    message = {"content": "hello", "role": "user"}
    other = chat(
        messages=[message], parameters={"top_p": 1, "temperature": 0}, tenant="a", prompt="p:1"
    )

    assert FINGERPRINTS.of(CALL) == FINGERPRINTS.of(other)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "user", "content": "hello "}]},
        {"messages": [{"role": "system", "content": "hello"}]},
        {"parameters": {"temperature": 1, "top_p": 1}},
        {"output_schema": LABELS},
        {"prompt": "p:2"},
        {"tenant": "b"},
        {"operation": "embeddings"},
        {"inputs": ["hello"]},
    ],
    ids=str,
)
def test_what_decides_the_answer_decides_the_fingerprint(fields: dict[str, Any]) -> None:
    """A call that differs in anything the answer depends on has another fingerprint."""
    assert FINGERPRINTS.of(CALL) != FINGERPRINTS.of(replace(CALL, **fields))


def test_routes_share_no_fingerprint() -> None:
    """Another route, or the same one with another target, has fingerprints of its own."""
    scopes = (["default", "openai/m"], ["large", "openai/m"], ["default", "openai/m2"])

    assert len({Fingerprints(scope).of(CALL) for scope in scopes}) == len(scopes)


def test_fingerprint_is_stable() -> None:
    """A fingerprint is the same in every process and version: shared caches depend on it."""
    assert FINGERPRINTS.of(embeddings("a")) == "8904d56c6a702a54021e506cb2f7f9de"


def test_what_is_no_json_has_no_fingerprint() -> None:
    """A call that cannot be written as JSON is left for the provider to refuse."""
    assert FINGERPRINTS.of(chat(parameters={"seed": 10**30})) == ""
