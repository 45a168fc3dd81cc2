"""Tokens for `OAUTHBEARER`: kept for their time, and never told."""

from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed
from faust.auth import OAuthCredentials
from pydantic import SecretStr, ValidationError

from streamapp.errors import ConfigurationError
from streamapp.settings import Settings
from streamapp.streaming.broker.oauth import (
    REFUSED_S,
    TokenAuthenticator,
    Tokens,
    client_credentials,
    read_refusals,
    tokens,
)
from streamapp.streaming.broker.security import broker_credentials, kafka_client_options
from tests.support.token_server import CLIENT_ID, CLIENT_SECRET, TokenServer


def settings(**fields: Any) -> Settings:
    defaults: dict[str, Any] = {
        "kafka_security_protocol": "SASL_SSL",
        "kafka_sasl_mechanism": "OAUTHBEARER",
    }
    return Settings(_env_file=None, **(defaults | fields))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def test_token_is_kept_for_four_fifths_of_its_life() -> None:
    """Each connection asks; the endpoint is asked before a token expires."""
    clock, given = Clock(), 0

    async def fetch() -> tuple[str, float]:
        nonlocal given
        given += 1
        return f"token-{given}", clock.now + 100

    kept = Tokens(fetch, now=clock)

    assert [await kept.token(), await kept.token()] == ["token-1", "token-1"]
    clock.now += 79
    assert await kept.token() == "token-1"
    clock.now += 1
    assert await kept.token() == "token-2"


async def test_wrong_secret_is_told_without_it() -> None:
    """The client tries again, and the error names the answer alone."""
    async with TokenServer() as server:
        fetch = client_credentials(
            server.url, client_id=CLIENT_ID, client_secret=SecretStr("CANARY-wrong"), scope="kafka"
        )
        with pytest.raises(KafkaConnectionError, match="answers 401") as raised:
            await Tokens(fetch).token()

    assert "CANARY" not in str(raised.value)


async def test_client_credentials_give_a_token() -> None:
    """By the grant of RFC 6749, with the scope that is set."""
    async with TokenServer() as server:
        fetch = client_credentials(
            server.url, client_id=CLIENT_ID, client_secret=SecretStr(CLIENT_SECRET), scope="kafka"
        )
        token = await Tokens(fetch).token()

    assert token.count(".") == 2
    assert server.given == 1


async def test_error_of_a_callable_is_told_by_its_name() -> None:
    """Its text could hold a secret."""

    async def fetch() -> tuple[str, float]:
        raise RuntimeError("CANARY")

    with pytest.raises(KafkaConnectionError, match="RuntimeError") as raised:
        await Tokens(fetch).token()

    assert "CANARY" not in str(raised.value)


def test_both_clients_get_the_tokens() -> None:
    """Faust's, and those that read past it."""
    wanted = settings(
        kafka_oauth_token_url="https://login.example/token",
        kafka_oauth_client_id="id",
        kafka_oauth_client_secret="secret",
    )

    assert isinstance(kafka_client_options(wanted)["sasl_oauth_token_provider"], Tokens)
    assert isinstance(broker_credentials(wanted), OAuthCredentials)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "KAFKA_OAUTH_TOKEN_URL"),
        ({"kafka_oauth_provider": "no.such.module:fetch"}, "write module:callable"),
        ({"kafka_oauth_provider": "time:no_such"}, "write module:callable"),
        ({"kafka_oauth_provider": "time:timezone"}, "cannot be called"),
    ],
    ids=["nothing", "no module", "no attribute", "no callable"],
)
def test_wrong_source_names_what_to_set(fields: dict[str, Any], named: str) -> None:
    """A worker that cannot get a token does not start."""
    with pytest.raises(ConfigurationError, match=named):
        tokens(settings(**fields))


def test_token_settings_that_would_not_be_used_are_refused() -> None:
    """Who sets a client id means to use it."""
    with pytest.raises(ConfigurationError, match="OAUTHBEARER"):
        kafka_client_options(
            settings(
                kafka_sasl_mechanism="PLAIN",
                kafka_sasl_username="user",
                kafka_sasl_password="secret",
                kafka_oauth_client_id="id",
            )
        )


def test_secret_goes_over_tls_alone() -> None:
    """A token endpoint without TLS is one on this machine."""
    with pytest.raises(ValidationError, match="https"):
        settings(kafka_oauth_token_url="http://login.example/token")


def kept(clock: Clock) -> tuple[Tokens, list[int]]:
    """Return tokens, and a list that is as long as they were asked for."""
    fetched: list[int] = []

    async def fetch() -> tuple[str, float]:
        fetched.append(1)
        return "token", clock.now + 1_000

    return Tokens(fetch, now=clock), fetched


async def test_refusal_of_a_token_ends_the_exchange() -> None:
    """A broker puts it into an answer without an error; it fails once that was acknowledged."""
    provider, _ = kept(Clock())
    authenticator = TokenAuthenticator(sasl_oauth_token_provider=provider)

    assert await authenticator.step(None) == (b"n,,\x01auth=Bearer token\x01\x01", True)
    assert await authenticator.step(b'{"status":"invalid_token"}') == (b"\x01", True)
    with pytest.raises(SaslAuthenticationFailed, match="invalid_token"):
        await authenticator.step(b"")


async def test_accepted_token_ends_the_exchange() -> None:
    """The broker answers nothing to it."""
    provider, _ = kept(Clock())
    authenticator = TokenAuthenticator(sasl_oauth_token_provider=provider)

    await authenticator.step(None)

    assert await authenticator.step(b"") is None


async def test_refused_token_is_not_kept() -> None:
    """It may be revoked long before its time; the endpoint is not asked at each connection."""
    clock = Clock()
    provider, fetched = kept(clock)
    await provider.token()

    provider.refused("invalid_token")
    await provider.token()
    assert len(fetched) == 1
    clock.now += REFUSED_S
    provider.refused("invalid_token")
    await provider.token()

    assert len(fetched) == 2


async def test_connections_of_aiokafka_read_refusals() -> None:
    """An upgrade that makes its authenticators otherwise fails here."""
    provider, _ = kept(Clock())
    read_refusals()
    connection = AIOKafkaConnection(
        "127.0.0.1",
        1,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="OAUTHBEARER",
        sasl_oauth_token_provider=provider,
    )

    assert isinstance(connection.authenticator_oauth(), TokenAuthenticator)
