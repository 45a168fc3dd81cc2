"""Other people's clients and frameworks, with their real packages, against a real worker."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from streamapp.streaming.broker.embedded import EmbeddedBroker
from tests.support.absent import absent
from tests.support.clients import SCRIPTS, ClientUnavailable, node_modules, python_with_clients
from tests.support.fakeanswers import vector_of
from tests.support.fakellm import FakeLLM
from tests.support.worker import STREAMAPP, WorkerProcess

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),  # the first run installs them
]

KEY = "sk-everything"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Of one worker for all, whose provider calls the tools that it is offered."""
    async with FakeLLM(default={"calls": 1}) as provider:
        with EmbeddedBroker() as broker:
            settings = {
                "STREAMAPP_BROKER": broker.url,
                "STREAMAPP_API_KEYS": KEY,
                "STREAMAPP_MODEL": "fake-model",
                "OPENAI_BASE_URL": provider.base_url,
                "OPENAI_API_KEY": "sk-provider",
            }
            worker = WorkerProcess(tmp_path_factory.mktemp("worker"), settings, command=STREAMAPP)
            worker.start()
            try:
                await worker.wait_ready()
                yield f"http://127.0.0.1:{worker.port}/v1"
            finally:
                worker.kill9()


async def installed(install: Callable[[], Path]) -> Path:
    """Return what ``install`` returns; skip where it cannot, in CI that is a failure."""
    try:
        return await asyncio.to_thread(install)
    except ClientUnavailable as problem:
        absent(problem)


async def output_of(command: Sequence[str | Path], directory: Path = SCRIPTS) -> str:
    """Run a program in the loop that also serves the provider; return its stdout."""
    # What Python compiles of theirs at the first import is kept: there is much of it.
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        cwd=directory,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()[-3000:]
    return out.decode()


#: What each try of a framework returns (see tests/clients/frameworks); "=" stands for the
#: provider's answer to the question, "+" for the one once it knows what the tool has told.
FRAMEWORKS: Mapping[str, Mapping[str, Any]] = {
    "openai": {
        "chat_parse": ["Weather", "Weather"],
        "chat_stream": ["weather"],
        "count_input_tokens": ["not_found", "NotFoundError"],
        "embeddings": ["list", "list"],
        "models": ["default", "default"],
        "responses_parse": "Weather",
        "responses_stream": "Weather",
        "responses_tools": "+",
        "text": ["=", "="],
    },
    "langchain": {
        "batch": ["=", "="],
        "completion": ["=", "="],
        "embeddings": [2, 8],
        "embeddings_of_texts": 2,
        "invoke": ["=", "dict"],
        "json_mode": "dict",
        "several": ["=", "="],
        "stream": ["=", "dict"],
        "stream_by_responses": "=",
        "structured": ["Weather", "Weather", "Weather", "Weather"],
        "tool_choice": ["weather"],
        "tools": "+",
        "tools_by_responses": "+",
    },
    "llama_index": {
        "agent_without_streams": "+",
        "chat": "=",
        "completion": ["=", "="],
        "stream": "=",
        "structured": "Weather",
        "structured_by_schema": "Weather",
        "tools": "+",
    },
    "instructor": {
        "json_schema": "Weather",
        "partial": ["degrees", "sky"],
        "responses_tools": "Weather",
        "several": ["Weather"],
        "tools": "Weather",
        "tools_strict": "Weather",
    },
    "pydantic_ai": {
        "chat": "+",
        "prompted": "Weather",
        "responses": "+",
        "stream": "+",
        "stream_by_responses": "+",
        "structured": ["Weather", "Weather", "Weather", "Weather"],
    },
    "agents": {
        "handoff": ["other", "="],
        "settings": "+",
        "stream": [["+", True], ["+", True]],
        "structured": ["Weather", "Weather"],
        "tools": ["+", "+"],
    },
    "litellm": {
        "completion": "=",
        "embedding": [vector_of("a"), vector_of("b")],
        "failure": ["NotFoundError", 404],
        "responses": ["=", "="],
        "router": "=",
        "stream": ["=", "Usage"],
        "structured": ["degrees", "sky"],
        "text": "=",
        "tools": "+",
    },
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_framework_works(url: str, framework: str) -> None:
    """Each framework's own way of chats, streams, tools, structured output and vectors works."""
    python = await installed(python_with_clients)

    output = await output_of([python, "-m", "frameworks", url, KEY, framework])

    found: Mapping[str, Any] = json.loads(output.splitlines()[-1])
    failed = {n: one["error"] for n, one in found.items() if isinstance(one, dict)}
    assert not failed, "\n".join(f"{name}: {error}" for name, error in failed.items())
    texts = {"=": f"answer to: how is it, {framework}?", "+": f"sunny for {framework}"}
    assert found == {name: spelt(value, texts) for name, value in FRAMEWORKS[framework].items()}


def spelt(value: Any, texts: Mapping[str, str]) -> Any:
    """Return a value with the texts that its signs stand for."""
    if isinstance(value, list):
        return [spelt(one, texts) for one in value]
    return texts.get(value, value) if isinstance(value, str) else value


async def test_openai_for_node_has_its_helpers(url: str) -> None:
    """Tools that it runs itself, classes of answers, and streams gathered, by both APIs."""
    home = (await installed(node_modules)).parent
    script = shutil.copy(SCRIPTS / "openai_node_helpers.mjs", home)

    found = json.loads(await output_of(["node", script, url, KEY], home))

    answer, told = "answer to: how is it, node?", "sunny for node"
    assert found == {
        "tools": told,
        "streamedTools": told,
        "parsed": ["degrees", "sky"],
        "stream": answer,
        "responseParsed": ["degrees", "sky"],
        "responseStream": answer,
        "responseTools": told,
        "tokens": 2,
        "failure": [422, "invalid", "store"],
    }


async def test_vercels_ai_sdk_works(url: str) -> None:
    """Texts, streams, tools that it runs, objects and vectors, by both of its packages."""
    home = (await installed(node_modules)).parent
    script = shutil.copy(SCRIPTS / "ai_sdk.mjs", home)

    found = json.loads(await output_of(["node", script, url, KEY], home))

    answer, told = "answer to: how is it, ai-sdk?", "sunny for ai-sdk"
    by_each = {
        "text": answer,
        "tokens": True,
        "tools": [told, 2],
        "stream": [answer, True],
        "streamedTools": [told, 2],
        "object": ["degrees", "sky"],
        "streamedObject": ["degrees", "sky"],
        "failure": [404, "model_not_found"],
    }
    vectors = {"embeddings": [8, 8]}
    assert found == {
        "chat": by_each | vectors,
        "responses": by_each,
        "compatible": by_each | vectors,
    }


async def test_curl_works(url: str) -> None:
    """Plain curl, whole and streamed, at each of OpenAI's paths."""

    async def curl(path: str, body: Any) -> str:
        headers = ["-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json"]
        asked = [*headers, f"{url}/{path}", "-d", json.dumps(body)]
        return await output_of(["curl", "-sSN", "--fail", *asked])

    messages = [{"role": "user", "content": "hi"}]
    whole = json.loads(await curl("chat/completions", {"messages": messages}))
    streamed = await curl("chat/completions", {"messages": messages, "stream": True})
    text = json.loads(await curl("completions", {"prompt": "hi"}))
    response = await curl("responses", {"input": "hi", "stream": True})
    vectors = json.loads(await curl("embeddings", {"input": "hi"}))

    assert whole["choices"][0]["message"]["content"] == "answer to: hi"
    assert streamed.endswith("data: [DONE]\n\n")
    assert text["choices"][0]["text"] == "answer to: hi"
    assert "event: response.completed\n" in response
    assert len(vectors["data"][0]["embedding"]) == 8
