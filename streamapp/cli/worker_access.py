"""The HTTP client of commands that ask a running worker."""

from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from streamapp.errors import StreamappError
from streamapp.settings import Settings
from streamapp.web.server import peer_tls_context, web_url

TIMEOUT_S = 10.0


class WorkerAccess:
    """One worker of the group; an async context manager. The first API key is used.

    Args:
        settings: Say where a worker of this machine is.
        url: Of another one.
    """

    def __init__(self, settings: Settings, url: str | None = None) -> None:
        self._ssl = peer_tls_context(settings)
        scheme = "https" if self._ssl else "http"
        own = settings.web_url or web_url(settings.web_host, settings.web_port, scheme=scheme)
        self.base = (url or own).rstrip("/")
        token = settings.peer_token
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout, headers=self._headers)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def get(self, path: str) -> Any | None:
        """Return what stands at the path, already quoted; None where nothing does.

        Raises:
            StreamappError: No worker answers, or not with that.
        """
        address = URL(f"{self.base}{path}", encoded=True)
        try:
            async with self._session.get(
                address, ssl=self._ssl or True, allow_redirects=False
            ) as response:
                if response.status == 404:
                    return None
                if response.status != 200:
                    raise StreamappError(
                        f"{self.base} answers {response.status}: is the worker ready?"
                    )
                return await response.json()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            problem = f"no worker answers at {self.base} ({type(error).__name__})"
            raise StreamappError(f"{problem}: start one, or use --url") from None
