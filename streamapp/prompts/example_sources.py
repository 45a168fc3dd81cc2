"""Sources of few-shot examples: a file, an address on the list of allowed hosts, a topic."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from streamapp.errors import PromptError
from streamapp.prompts.example_set import SET_LIMIT
from streamapp.prompts.examples import FETCH_TIMEOUT_S
from streamapp.prompts.settings import ExampleSettings
from streamapp.settings.proxies import Proxies


class Sources:
    """Fetches sets as their prompts name them.

    A prompt may come over HTTP, so nothing it names is trusted: files lie below one directory,
    addresses have an allowed host, and no redirect is followed.

    Args:
        directory: Where files are.
        hosts: ``HOST`` or ``HOST:PORT`` of the allowed addresses.
        from_topic: Returns a set of the topic ``llm.examples``; raises ``PromptError``.
    """

    def __init__(
        self,
        *,
        directory: Path,
        hosts: Collection[str],
        from_topic: Callable[[str], Awaitable[bytes]],
    ) -> None:
        self._directory = directory
        self._hosts = hosts
        self._from_topic = from_topic
        self._proxies = Proxies()

    async def fetch(self, settings: ExampleSettings) -> bytes:
        """Return the bytes of the set.

        Raises:
            PromptError: The source is not allowed, too large or not there.
            aiohttp.ClientError: It did not answer.
        """
        if settings.file:
            return await asyncio.to_thread(self._read, settings.file)
        if settings.url:
            return await self._get(settings.url)
        return await self._from_topic(settings.topic_set or "")

    def _read(self, name: str) -> bytes:
        path = (self._directory / name).resolve()
        if not path.is_relative_to(self._directory.resolve()):
            raise PromptError("the file must lie in the directory of the prompts")
        try:
            with path.open("rb") as file:
                return _bounded(file.read(SET_LIMIT + 1))
        except OSError as error:
            raise PromptError(f"the file cannot be read ({type(error).__name__})") from None

    async def _get(self, url: str) -> bytes:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.username or parts.password:
            raise PromptError("the address must be http:// or https://, without a user")
        if parts.netloc.lower() not in self._hosts and (parts.hostname or "") not in self._hosts:
            raise PromptError("the host is not allowed: add it to STREAMAPP_EXAMPLES_HOSTS")
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        # Not inflated: a small body can be a large one.
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.get(
                url,
                headers={"Accept-Encoding": "identity"},
                allow_redirects=False,
                **self._proxies.of(URL(url)),
            ) as response,
        ):
            if response.status != 200:
                raise PromptError(f"the source answers {response.status}")
            data = b""
            async for chunk in response.content.iter_chunked(65_536):
                data = _bounded(data + chunk)
            return data


def _bounded(data: bytes) -> bytes:
    if len(data) > SET_LIMIT:
        raise PromptError(f"the set is longer than {SET_LIMIT:,} bytes")
    return data
