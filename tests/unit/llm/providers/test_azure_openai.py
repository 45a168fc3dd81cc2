"""The requests the Azure provider makes."""

import contextlib
from typing import Any

import pytest

from streamapp.errors import ConfigurationError
from streamapp.llm.completion import Call
from streamapp.llm.providers.azure_openai import AzureOpenAIProvider
from tests.support.recorder import Recorder
from tests.unit.llm.calls import chat, embeddings

CHAT = {"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}], "model": "gpt"}
VECTORS = {"data": [{"index": 0, "embedding": [1.0]}]}


@pytest.mark.parametrize(
    ("call", "answer", "version", "path"),
    [
        (chat(), CHAT, None, "/openai/v1/chat/completions"),
        (embeddings("a"), VECTORS, None, "/openai/v1/embeddings"),
        (
            chat(),
            CHAT,
            "2024-10-21",
            "/openai/deployments/m/chat/completions?api-version=2024-10-21",
        ),
        (
            embeddings("a"),
            VECTORS,
            "2024-10-21",
            "/openai/deployments/m/embeddings?api-version=2024-10-21",
        ),
    ],
    ids=["chat", "embeddings", "chat-dated", "embeddings-dated"],
)
async def test_deployment_is_addressed(
    call: Call, answer: Any, version: str | None, path: str
) -> None:
    """The dated API has the deployment in the address; the key is in Azure's own header."""
    async with Recorder(answer) as recorder:
        provider = AzureOpenAIProvider(
            "mine", base_url=recorder.root_url + "/", api_key="key", api_version=version
        )
        async with contextlib.aclosing(provider):
            await provider.complete(call)

    sent_path, headers, body = recorder.requests[0]
    assert sent_path == path
    assert headers["api-key"] == "key"
    assert "authorization" not in headers
    assert body["model"] == "m"


@pytest.mark.parametrize("base_url", [None, "", "mine.openai.azure.com", "https://u:CANARY@mine"])
def test_resource_is_required(base_url: str | None) -> None:
    """Without a usable address of the resource the configuration is wrong."""
    with pytest.raises(ConfigurationError, match=r"providers\.mine\.base_url") as caught:
        AzureOpenAIProvider("mine", base_url=base_url)

    assert "CANARY" not in str(caught.value)
