"""OpenAI's models on Azure: the same bodies at other addresses, with another header."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from yarl import URL

from streamapp.errors import ConfigurationError
from streamapp.llm.providers.http import MAX_ANSWER_BYTES
from streamapp.llm.providers.openai import OpenAIProvider
from streamapp.llm.providers.shapes.chat_request import StructuredMode


class AzureOpenAIProvider(OpenAIProvider):
    """Calls a resource's deployments; a target's model is the name of a deployment.

    With an ``api_version`` it uses the dated API, with the deployment in the address; without
    one the current ``v1`` API, with the deployment as the body's model.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None,
        api_key: str | None = None,
        api_version: str | None = None,
        structured: StructuredMode | None = None,
        extra_body: Mapping[str, Any] | None = None,
        extra_headers: Mapping[str, str] | None = None,
        pass_through: Sequence[str] = (),
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Check the address and the key.

        Args:
            name: The configured provider's name, for answers and errors.
            base_url: The resource, such as ``https://NAME.openai.azure.com``.
            api_key: The resource's key.
            api_version: Such as ``2024-10-21``.
            structured: How it is asked for JSON; None to find out.
            extra_body: Sent with each call, beneath what is ours.
            extra_headers: Likewise.
            pass_through: Fields of callers that it takes besides OpenAI's.
            max_answer_bytes: Longest body read, after decompression.
            wall_clock: Unix seconds, to read a ``Retry-After`` date.

        Raises:
            ConfigurationError: The URL or the key is missing or cannot be used.
        """
        if not base_url:
            raise ConfigurationError(
                f"providers.{name}.base_url: write the resource, https://NAME.openai.azure.com"
            )
        super().__init__(
            name,
            base_url=base_url,
            api_key=api_key,
            structured=structured,
            extra_body=extra_body,
            extra_headers=extra_headers,
            pass_through=pass_through,
            max_answer_bytes=max_answer_bytes,
            wall_clock=wall_clock,
        )
        self._api_version = api_version

    @property
    def models_url(self) -> URL:
        """Where the models are asked for."""
        if self._api_version is None:
            return self._root / "openai/v1/models"
        return (self._root / "openai/models").with_query({"api-version": self._api_version})

    async def models(self) -> list[str] | None:
        """Ask for the models; return None: it lists models, and targets name deployments.

        Raises:
            ProviderError: The address or the key is wrong, or nobody answers.
        """
        await self._http.models(self.models_url)
        return None

    def _build_url(self, path: str, model: str) -> URL:
        if self._api_version is None:
            return self._root / "openai/v1" / path
        url = self._root / "openai/deployments" / model / path
        return url.with_query({"api-version": self._api_version})

    def _authorization(self, key: str) -> dict[str, str]:
        return {"api-key": key}
