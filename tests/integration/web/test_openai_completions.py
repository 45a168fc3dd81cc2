"""Completions of texts, by the shape that came before chats."""

from typing import Any

import pytest

from streamapp import errors
from streamapp.processors.chat import Chat
from streamapp.settings import ModelSettings, ProviderSettings

from .conftest import FakeRequestHandler, Serve, Site
from .test_openai import chunks

PATH = "/v1/completions"


@pytest.fixture
async def site(serve: Serve) -> Site:
    """A worker with one route."""
    return await serve(
        providers={"p": ProviderSettings(kind="offline", pass_through=["top_k"])},
        models={"default": ModelSettings(targets=["p/m"])},
    )


def asked(handler: FakeRequestHandler) -> list[Chat]:
    records = [record for record, _, _ in handler.asked]
    assert all(isinstance(record, Chat) for record in records)
    return records  # type: ignore[return-value]


async def test_prompt_is_asked_as_a_message(site: Site, handler: FakeRequestHandler) -> None:
    """A text becomes a user's message, and what the model says the text of a choice."""
    fields = {"max_tokens": 5, "stop": "x", "user": "u", "top_k": 3, "logprobs": 2}

    status, body, headers = await site("POST", PATH, json={"prompt": "once", **fields})

    (record,) = asked(handler)
    assert status == 200
    assert record.messages == [{"role": "user", "content": "once"}]
    assert record.parameters() == {
        **{"max_tokens": 5, "stop": ["x"], "user": "u", "top_k": 3},
        **{"logprobs": True, "top_logprobs": 2},
    }
    assert (body["object"], body["id"][:5]) == ("text_completion", "cmpl-")
    assert body["choices"] == [
        {"text": "hello", "index": 0, "logprobs": None, "finish_reason": "stop"}
    ]
    assert body["usage"]["total_tokens"] == 5
    assert "X-Streamapp-Cache" not in headers


async def test_several_prompts_have_several_samples(
    site: Site, handler: FakeRequestHandler
) -> None:
    """The choices of the first prompt come first; each is a call of its own."""
    body = {"prompt": ["a", "b"], "n": 2, "seed": 7, "echo": True}

    _, found, _ = await site("POST", PATH, json=body)

    made = sorted((r.messages[0]["content"], r.sample, r.seed) for r in asked(handler))
    assert made == [("a", 0, 7), ("a", 1, 8), ("b", 0, 7), ("b", 1, 8)]
    texts = [(choice["index"], choice["text"]) for choice in found["choices"]]
    assert texts == [(0, "ahello"), (1, "ahello"), (2, "bhello"), (3, "bhello")]


async def test_log_probabilities_are_of_the_older_shape(
    site: Site, handler: FakeRequestHandler
) -> None:
    """Four lists of one length; offsets count from what is echoed."""
    top = [{"token": "hel", "logprob": -0.5}, {"token": "x", "logprob": -3.0}]
    tokens = [
        {"token": "hel", "logprob": -0.5, "top_logprobs": top},
        {"token": "lo", "logprob": -1.0, "top_logprobs": []},
    ]
    handler.logprobs = {"content": tokens}

    _, body, _ = await site("POST", PATH, json={"prompt": "ab", "logprobs": 2, "echo": True})

    assert body["choices"][0]["logprobs"] == {
        "tokens": ["hel", "lo"],
        "token_logprobs": [-0.5, -1.0],
        "top_logprobs": [{"hel": -0.5, "x": -3.0}, {}],
        "text_offset": [2, 5],
    }


async def test_texts_are_streamed(site: Site, handler: FakeRequestHandler) -> None:
    """Each choice has what is echoed, its text as it is written, and its end."""
    handler.chunks = ["hel", "lo"]
    options = {"include_usage": True}
    body = {"prompt": ["a", "b"], "stream": True, "echo": True, "stream_options": options}

    got = await chunks(site, body, path=PATH)

    for index, prompt in enumerate("ab"):
        own = [c["choices"][0] for c in got[:-1] if c["choices"][0]["index"] == index]
        assert [choice["text"] for choice in own] == [prompt, "hel", "lo", ""]
        assert [choice["finish_reason"] for choice in own] == [None, None, None, "stop"]
    assert {c["object"] for c in got} == {"text_completion"}
    assert (got[-1]["choices"], got[-1]["usage"]["total_tokens"]) == ([], 10)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": "a", "suffix": "b"}, "suffix"),
        ({"prompt": "a", "best_of": 2}, "best_of"),
        ({"prompt": "a", "logprobs": 6}, "logprobs"),
        ({"prompt": "a", "more": 1}, "more"),
    ],
)
async def test_what_is_not_supported_is_named(
    site: Site, handler: FakeRequestHandler, body: dict[str, Any], param: str
) -> None:
    """Nothing is asked, and the field is named."""
    status, answer, _ = await site("POST", PATH, json=body)

    assert (status, answer["error"]["param"]) == (422, param)
    assert handler.asked == []


async def test_choices_are_bounded(site: Site, handler: FakeRequestHandler) -> None:
    """Prompts times samples are at most as many calls as one chat may be."""
    status, answer, _ = await site("POST", PATH, json={"prompt": ["a"] * 65, "n": 2})

    assert (status, answer["error"]["code"]) == (422, "invalid")
    assert handler.asked == []


async def test_failure_has_its_status(site: Site, handler: FakeRequestHandler) -> None:
    """A record's failure is the request's, as on every path."""
    handler.failure = errors.BudgetExceeded("why")

    status, answer, _ = await site("POST", PATH, json={"prompt": "a"})

    assert (status, answer["error"]["code"]) == (429, "budget_exceeded")
