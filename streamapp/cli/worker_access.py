"""The HTTP client of commands that ask a running worker."""

from types import TracebackType
from typing import Any, Self

import aiohttp
import click
from yarl import URL

from streamapp.errors import StreamappError
from streamapp.settings import Settings
from streamapp.web.server import peer_tls_context, web_url

TIMEOUT_S = 10.0

#: The option of commands that ask a worker, as ``url``.
of_worker = click.option(
    "--url", help="Of any worker; default: STREAMAPP_WEB_URL, or its host and port."
)


class NoSuchWorker(StreamappError):
    """What answers at the address is no worker, or one of another group."""


class WorkerAccess:
    """One worker of the group; an async context manager. The first API key is used.

    Who answers there is looked at once: a worker of another group is not asked, and one that
    names other brokers is told of on stderr (they may be the same ones by other names).

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
        self._settings, self._is_known = settings, False
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
            NoSuchWorker: What answers is no worker of this group.
            StreamappError: No worker answers, or not with that.
        """
        if not self._is_known:
            self._look_at(await self._get("/version"))
            self._is_known = True
        return await self._get(path)

    def _look_at(self, found: Any) -> None:
        if not isinstance(found, dict) or found.get("name") != "streamapp":
            raise NoSuchWorker(f"what answers at {self.base} is no worker of streamapp: use --url")
        settings, app_id = self._settings, found.get("app_id")
        if app_id not in (None, settings.app_id):  # workers before 0.2 do not say
            raise NoSuchWorker(
                f"the worker at {self.base} is of the group '{app_id}', not"
                f" '{settings.app_id}': use --url, or set STREAMAPP_APP_ID"
            )
        brokers = found.get("brokers") or settings.brokers
        if not set(brokers) & set(settings.brokers):
            click.echo(
                f"the worker at {self.base} uses the brokers {', '.join(brokers)}, not"
                f" {', '.join(settings.brokers)}: if they are others, use --url",
                err=True,
            )

    async def _get(self, path: str) -> Any | None:
        address = URL(f"{self.base}{path}", encoded=True)
        try:
            async with self._session.get(
                address, ssl=self._ssl or True, allow_redirects=False
            ) as response:
                if response.status == 404:
                    return None
                if response.status in (401, 403):
                    raise StreamappError(
                        f"the worker at {self.base} does not take our key: set STREAMAPP_API_KEYS"
                        " to one of its own, or use --url"
                    )
                if response.status != 200:
                    raise StreamappError(
                        f"{self.base} answers {response.status}: is the worker ready?"
                    )
                return await response.json()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            problem = f"no worker answers at {self.base} ({type(error).__name__})"
            raise StreamappError(f"{problem}: start one, or use --url") from None
