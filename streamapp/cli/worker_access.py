"""The HTTP client of commands that ask a running worker."""

import re
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import aiohttp
import click
from yarl import URL

from streamapp.errors import StreamappError
from streamapp.settings import Settings
from streamapp.settings.checks import address_of
from streamapp.web.server import web_url
from streamapp.web.tls import peer_tls_context

TIMEOUT_S = 10.0


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return value and address_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


#: The option of commands that ask a worker, as ``url``.
of_worker = click.option(
    "--url",
    callback=_address,
    help="Of any worker; default: STREAMAPP_WORKER_URL, or that of a worker with these settings.",
)
_LOOPBACK = re.compile(r"^(?:127\.0\.0\.1|\[::1\]):")


class NoSuchWorker(StreamappError):
    """What answers at the address is no worker, or one of another group."""


class NoWorker(StreamappError):
    """Nothing answers at the address."""


class WorkerAccess:
    """One worker of the group; an async context manager. The first API key is used.

    Who answers there is looked at once: a worker of another group is not asked. One that names
    other brokers is another app's, unless ``url`` names it: then they may be the same ones by
    other names, which is said on stderr.

    Args:
        settings: Say where a worker of this machine is.
        url: Of the one that is meant, whatever names its brokers have.
        timeout_s: Longest wait for an answer.
    """

    def __init__(
        self, settings: Settings, url: str | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._ssl = peer_tls_context(settings)
        scheme = "https" if self._ssl else "http"
        local = web_url(settings.web_host, settings.web_port, scheme=scheme)
        self.base = (url or settings.worker_url or settings.web_url or local).rstrip("/")
        token = settings.peer_token
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._settings, self._is_named, self._is_known = settings, bool(url), False
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout, headers=self._headers)
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
            NoWorker: Nothing answers.
            StreamappError: The worker does not answer with that.
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
        if _places(brokers) & _places(settings.brokers):
            return
        uses = f"the worker at {self.base} uses the brokers {', '.join(brokers)}, not"
        ours = ", ".join(settings.brokers)
        if not self._is_named:
            raise NoSuchWorker(
                f"{uses} {ours}, and is taken for another app's: use --url with the address of"
                " your own (this one, if they are the same brokers), or set STREAMAPP_BROKER"
            )
        click.echo(f"{uses} {ours}: if they are others, use another --url", err=True)

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
        except aiohttp.ClientConnectorCertificateError as error:
            why = getattr(error.certificate_error, "verify_message", "").rstrip(".")
            problem = f"the certificate of {self.base} is not trusted: {why}"
            name = "set STREAMAPP_WEB_CERT_FILE to that of the workers, and ask by a name in it"
            raise StreamappError(f"{problem}; {name}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            problem = f"no worker answers at {self.base} ({type(error).__name__})"
            raise NoWorker(f"{problem}: start one, or use --url") from None


def _places(brokers: Iterable[str]) -> set[str]:
    """Return where brokers are, the machine itself by one name."""
    return {_LOOPBACK.sub("localhost:", broker.lower()) for broker in brokers}
