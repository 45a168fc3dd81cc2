"""Calls through litellm: as a module of our own making, and for real where it lives."""

import asyncio
import site
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from streamapp.errors import (
    ContentFiltered,
    ContextLengthExceeded,
    GarbledAnswer,
    ProviderDenied,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)
from streamapp.llm.providers.litellm import LiteLLMProvider
from tests.fakes import TakenChunks
from tests.support.absent import absent
from tests.support.clients import ClientUnavailable, python_with_clients
from tests.unit.llm.calls import chat, embeddings

ROOT = Path(__file__).parents[4]


class Model(dict[str, Any]):
    """What litellm returns: something with `model_dump`."""

    def model_dump(self) -> dict[str, Any]:
        return dict(self)


def answer(text: str = "fine") -> Model:
    return Model(choices=[{"message": {"content": text}, "finish_reason": "stop"}], model="m-2030")


@dataclass
class Module:
    """Stands in for the module; raises or returns what it was told to."""

    outcome: Any = field(default_factory=answer)
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def acompletion(self, **request: Any) -> Any:
        self.asked.append(request)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    aembedding = acompletion


def provider(module: Module, **fields: Any) -> LiteLLMProvider:
    return LiteLLMProvider("mine", litellm=module, **fields)


async def test_retries_are_ours_alone() -> None:
    """It is told to try once, to leave out what a vendor does not know, and where to go."""
    module = Module()

    await provider(module, base_url="http://x", api_key="k").complete(
        chat(parameters={"temperature": 0})
    )

    request = module.asked[0]
    assert (request["max_retries"], request["num_retries"]) == (0, 0)
    assert request["drop_params"] is True
    assert (request["api_base"], request["api_key"]) == ("http://x", "k")
    assert (request["model"], request["temperature"]) == ("m", 0)


async def test_what_is_not_configured_is_left_to_litellm() -> None:
    """Without address and key litellm finds its own."""
    module = Module(outcome=Model(data=[{"index": 0, "embedding": [1.0]}]))

    await provider(module).complete(embeddings("a"))

    assert not module.asked[0].keys() & {"api_base", "api_key"}


def error(name: str, **fields: Any) -> Exception:
    """Return an error of a class named as litellm's."""
    made: Exception = type(name, (Exception,), {})("CANARY")
    made.__dict__.update(fields)
    return made


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (error("ContextWindowExceededError", status_code=400), ContextLengthExceeded),
        (error("ContentPolicyViolationError", status_code=400), ContentFiltered),
        (error("Timeout", status_code=408), ProviderTimeout),
        (error("APIConnectionError", status_code=500), ProviderUnavailable),
        (error("BudgetExceededError"), ProviderDenied),
        (error("APIResponseValidationError", status_code=422), GarbledAnswer),
        (error("RateLimitError", status_code=429), RateLimited),
        (error("AuthenticationError", status_code=401), ProviderDenied),
        (error("BadRequestError", status_code=400), ProviderRejected),
        (error("InternalServerError", status_code=500), ProviderUnavailable),
        (error("Surprise"), ProviderUnavailable),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
async def test_errors_are_translated(raised: Exception, expected: type[Exception]) -> None:
    """Its errors become ours by name, then by status, without a word of their text."""
    with pytest.raises(expected) as caught:
        await provider(Module(outcome=raised)).complete(chat())

    assert type(caught.value) is expected
    assert "CANARY" not in str(caught.value)


async def test_retry_after_is_read() -> None:
    """The vendor's wish to wait gets through where litellm passes it on."""

    class Response:
        headers = {"retry-after": "3"}  # noqa: RUF012 - a fake

    raised = error("RateLimitError", status_code=429, response=Response())

    with pytest.raises(RateLimited) as caught:
        await provider(Module(outcome=raised)).complete(chat())

    assert caught.value.retry_after_s == 3


async def test_broken_stream_is_translated() -> None:
    """An error in the middle of a stream is translated as any other."""

    async def chunks() -> AsyncIterator[Model]:
        yield Model(choices=[{"delta": {"content": "half"}}])
        raise error("APIConnectionError", status_code=500)

    texts = TakenChunks()

    with pytest.raises(ProviderUnavailable):
        await provider(Module(outcome=chunks())).complete(chat(chunks=texts))

    assert texts.texts == ["half"]


@pytest.mark.timeout(600)  # the first run installs litellm and compiles it
async def test_litellm_keeps_the_contract() -> None:
    """In its own environment, the real litellm passes the contract of all providers."""
    try:
        python = await asyncio.to_thread(python_with_clients)
    except ClientUnavailable as problem:
        absent(problem)
    # Its own packages come first, ours fill in: it keeps its openai, and finds pytest.
    ours = site.getsitepackages()
    code = f"import sys; sys.path += {ours}; import pytest; sys.exit(pytest.main())"
    # litellm warns on its own account, which `filterwarnings = error` would make errors.
    arguments = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "litellm",
        "-W",
        "ignore",
        "--timeout",
        "300",
    ]
    process = await asyncio.create_subprocess_exec(
        str(python),
        "-c",
        code,
        *arguments,
        "tests/unit/llm/test_contract.py",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()
    assert b" passed" in output
