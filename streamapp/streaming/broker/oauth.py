"""Tokens for ``OAUTHBEARER``: from a token endpoint by client credentials, or from a callable.

Kafka's client asks for one at each new connection. A token is used until four fifths of its
life are over, or the broker refuses it; it stands in no log, error or setting.
"""

import asyncio
import inspect
import math
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import structlog
from aiokafka import conn
from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import OAuthAuthenticator
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed
from pydantic import SecretStr
from pydantic_core import from_json
from yarl import URL

from streamapp.errors import ConfigurationError
from streamapp.settings import PREFIX, Settings
from streamapp.settings.proxies import Proxies, failure_name

log = structlog.get_logger(__name__)

#: Longest wait for a token, seconds.
TOKEN_S = 10.0
#: Part of a token's life after which the next one is asked for.
USED_PART = 0.8
#: A refused token is given up once it is so old, seconds: the endpoint is not asked more often.
#: A refusal is told as often.
REFUSED_S = 10.0

#: What a client answers to a refusal, so that the broker ends the exchange as failed.
#: Source: RFC 7628, section 3.2.3.
SEEN = b"\x01"

#: A token, and when it expires, seconds since the epoch.
Token = tuple[str, float]


class Tokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """Keeps a token for its time; used from several threads and their loops.

    Args:
        fetch: Returns a new one.
        now: Wall clock, seconds since the epoch.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[Token]], *, now: Callable[[], float] = time.time
    ) -> None:
        self._fetch = fetch
        self._now = now
        self._kept: tuple[str, float] | None = None
        self._fetched_at = self._told_at = -math.inf

    async def token(self) -> str:
        """Return a token that is valid for a while.

        Raises:
            KafkaConnectionError: None is to be had now; the client tries again.
        """
        kept = self._kept
        if kept is not None and self._now() < kept[1]:
            return kept[0]
        try:
            async with asyncio.timeout(TOKEN_S):
                token, expires_at = await self._fetch()
        except Exception as error:  # of a callable that is not ours, too
            reason = str(error) if isinstance(error, _TokenRefused) else failure_name(error)
            log.error("oauth.no_token", reason=reason)
            raise KafkaConnectionError(f"no token for OAUTHBEARER: {reason}") from None
        now = self._now()
        self._kept = token, now + USED_PART * (expires_at - now)
        self._fetched_at = now
        return token

    def refused(self, status: str) -> None:
        """Note that a broker takes the token for none of its own: the next one may be better.

        Args:
            status: The broker's word for it.
        """
        now = self._now()
        # Also where the clock was set back.
        if not 0 <= now - self._fetched_at < REFUSED_S:
            self._kept = None
        if not 0 <= now - self._told_at < REFUSED_S:
            self._told_at = now
            log.error(
                "oauth.token_refused",
                status=status,
                hint="the broker does not take the token: compare its issuer, audience, scope and"
                " signing keys, and the clocks, with what the listener expects",
            )


class TokenAuthenticator(OAuthAuthenticator):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's, which also reads the broker's refusal.

    aiokafka 0.14 takes any answer to a token for a yes. The broker then closes the connection at
    the first request, and the client takes that for a cluster that knows no broker and no topic.
    """

    def __init__(self, *, sasl_oauth_token_provider: AbstractTokenProvider) -> None:
        super().__init__(sasl_oauth_token_provider=sasl_oauth_token_provider)
        self._tokens = sasl_oauth_token_provider
        self._refusal = ""

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        """Return what to send next, and whether that is answered; None at the end.

        Raises:
            SaslAuthenticationFailed: The broker refused the token and did not say so by a code.
        """
        if self._refusal:
            raise SaslAuthenticationFailed(self._refusal)
        if payload:
            self._refusal = f"the token of OAUTHBEARER is refused: {_status(payload)}"
            if isinstance(self._tokens, Tokens):
                self._tokens.refused(_status(payload))
            return SEEN, True
        step: tuple[bytes, bool] | None = await super().step(payload)
        return step


def _status(refusal: bytes) -> str:
    """Return the status of a refusal; a broker may say anything else in it."""
    try:
        fields: Any = from_json(refusal)
        return str(fields["status"])[:64]
    except (ValueError, TypeError, KeyError):
        return "no status"


def read_refusals() -> None:
    """Have every connection of this process read them; once is enough."""
    conn.OAuthAuthenticator = TokenAuthenticator


class _TokenRefused(Exception):
    """The endpoint answered, and gave none; the text is for operators."""


def tokens(settings: Settings) -> Tokens:
    """Return the tokens that the settings ask for.

    Raises:
        ConfigurationError: They name no source, or one that cannot be used.
    """
    read_refusals()
    if settings.kafka_oauth_provider:
        return Tokens(_callable(settings.kafka_oauth_provider))
    secret = settings.kafka_oauth_client_secret
    if not (settings.kafka_oauth_token_url and settings.kafka_oauth_client_id and secret):
        raise ConfigurationError(
            f"{PREFIX}KAFKA_SASL_MECHANISM=OAUTHBEARER: set {PREFIX}KAFKA_OAUTH_TOKEN_URL,"
            f" {PREFIX}KAFKA_OAUTH_CLIENT_ID and {PREFIX}KAFKA_OAUTH_CLIENT_SECRET,"
            f" or {PREFIX}KAFKA_OAUTH_PROVIDER"
        )
    return Tokens(
        client_credentials(
            settings.kafka_oauth_token_url,
            client_id=settings.kafka_oauth_client_id,
            client_secret=secret,
            scope=settings.kafka_oauth_scope,
        )
    )


def client_credentials(
    url: str, *, client_id: str, client_secret: SecretStr, scope: str
) -> Callable[[], Awaitable[Token]]:
    """Return what fetches a token by the client credentials grant.

    Source: RFC 6749, sections 2.3.1 and 4.4.
    """
    proxies = Proxies()

    async def fetch() -> Token:
        form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        pair = f"{quote_plus(client_id)}:{quote_plus(client_secret.get_secret_value())}"
        headers = {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        async with (
            aiohttp.ClientSession() as http,
            http.post(
                url, data=form, headers=headers, allow_redirects=False, **proxies.of(URL(url))
            ) as response,
        ):
            if response.status != 200:
                raise _TokenRefused(f"the token endpoint answers {response.status}")
            fields: Any = await response.json(content_type=None)
        token = fields.get("access_token") if isinstance(fields, dict) else None
        if not isinstance(token, str):
            raise _TokenRefused("the token endpoint gives no access_token")
        return token, time.time() + float(fields.get("expires_in", 300))

    return fetch


def _callable(name: str) -> Callable[[], Awaitable[Token]]:
    setting = f"{PREFIX}KAFKA_OAUTH_PROVIDER"
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"{setting}: cannot use {name!r} ({type(error).__name__}): write module:callable"
        ) from None
    if not callable(found):
        raise ConfigurationError(f"{setting}: {name!r} cannot be called: write module:callable")

    async def fetch() -> Token:
        answer = found() if inspect.iscoroutinefunction(found) else asyncio.to_thread(found)
        token, expires_at = await answer
        return token, float(expires_at)

    return fetch
