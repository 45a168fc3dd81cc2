"""The diagnosis of a refused connection: Kafka's clients say only that they failed.

Looked into after a failure, by connections of our own, so that a wrong setting ends a program
with one line while a broker that is away is waited for.
"""

import asyncio
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from streamapp.errors import ConfigurationError
from streamapp.settings import PREFIX, Settings
from streamapp.streaming.broker.ping import broker_answers
from streamapp.streaming.broker.security import kafka_client_options

#: Longest wait for one answer of one broker, seconds.
ANSWER_S = 5.0

PROTOCOL = f"{PREFIX}KAFKA_SECURITY_PROTOCOL"

#: OpenSSL's codes for a valid certificate of another host: X509_V_ERR_HOSTNAME_MISMATCH and
#: X509_V_ERR_IP_ADDRESS_MISMATCH.
OTHER_HOST = frozenset({62, 64})
CERT_HAS_EXPIRED = 10


class _Silenced(Exception):
    """The broker answered who it is, and closed at the first real request."""


async def refusal(settings: Settings) -> ConfigurationError | None:
    """Return what to change where a broker answers and refuses us.

    Takes up to ``ANSWER_S`` a few times for each broker.

    Returns:
        None where no broker answers, or none refuses: waiting may help.
    """
    advertised: list[str] = []
    for address in settings.brokers:
        try:
            advertised = await _enter(address, settings)
        except (KafkaError, OSError, _Silenced) as error:
            if reason := await _reason(error, address, settings):
                return ConfigurationError(f"the broker {address} {reason}")
        else:
            break
    for address in advertised:
        try:
            await _enter(address, settings)
        except (KafkaError, OSError, _Silenced) as error:
            if reason := await _reason(error, address, settings):
                return ConfigurationError(
                    f"the broker {address}, as the cluster advertises it, {reason}"
                )
    return None


def connection_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments of one connection to a broker.

    Raises:
        ConfigurationError: The settings do not fit together, or a file cannot be used.
    """
    options = kafka_client_options(settings)
    del options["bootstrap_servers"]
    return options | {"request_timeout_ms": int(ANSWER_S * 1000)}


def host_and_port(address: str) -> tuple[str, int]:
    """Split ``HOST:PORT``, also with an IPv6 address."""
    url = urlsplit(f"//{address}")
    return url.hostname or "localhost", url.port or 9092


async def _enter(address: str, settings: Settings) -> list[str]:
    """Go all the way to the brokers' metadata and return their advertised addresses."""
    connection: AIOKafkaConnection = await create_conn(
        *host_and_port(address), **connection_options(settings)
    )
    try:
        metadata = await connection.send(MetadataRequest([]))
    except KafkaConnectionError as error:
        raise _Silenced from error
    finally:
        connection.close()
    return [f"{host}:{port}" for _, host, port, *_ in metadata.brokers]


async def _reason(error: BaseException, address: str, settings: Settings) -> str | None:
    """Return what a failed entry means, or None where it may mean nothing but a broken line."""
    protocol = settings.kafka_security_protocol
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            if reason := _tls_reason(cause, settings):
                return reason
        elif isinstance(cause, SaslAuthenticationFailed):
            if settings.kafka_sasl_mechanism == "OAUTHBEARER":
                return (
                    "refuses the token of OAUTHBEARER: compare its issuer, audience, scope and"
                    " signing keys, and the clocks, with what the listener expects; it comes from"
                    f" {PREFIX}KAFKA_OAUTH_PROVIDER or {PREFIX}KAFKA_OAUTH_TOKEN_URL"
                )
            return (
                f"refuses user name or password for {settings.kafka_sasl_mechanism}:"
                f" check {PREFIX}KAFKA_SASL_USERNAME and {PREFIX}KAFKA_SASL_PASSWORD"
            )
        elif isinstance(cause, UnsupportedSaslMechanismError):
            return (
                f"does not offer {settings.kafka_sasl_mechanism}:"
                f" set {PREFIX}KAFKA_SASL_MECHANISM to one that its listener offers"
            )
        elif isinstance(cause, IllegalSaslStateError):
            plain = protocol.removeprefix("SASL_")
            return f"does not ask for SASL on this port: set {PROTOCOL}={plain}, or another port"
    if isinstance(error, _Silenced) and not protocol.startswith("SASL_"):
        return (
            "answers and closes at the first request, as a listener that asks for SASL does:"
            f" set {PROTOCOL}=SASL_{protocol} and {PREFIX}KAFKA_SASL_MECHANISM, USERNAME, PASSWORD"
        )
    if protocol.endswith("SSL"):
        if await asyncio.to_thread(_speaks_plain, address):
            return f"does not speak TLS on this port: use its TLS port, or set {PROTOCOL}"
    elif await _speaks_tls(address):
        return f"speaks TLS on this port: set {PROTOCOL}=SSL or SASL_SSL, or its plain port"
    return None


def _tls_reason(error: ssl.SSLError, settings: Settings) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in OTHER_HOST:
            return (
                "has a certificate of another host name: connect by a name that is in it"
                f" ({PREFIX}BROKER, the broker's advertised.listeners), or add the name to it"
            )
        if error.verify_code == CERT_HAS_EXPIRED:
            return "has a certificate that has expired: renew it on the broker"
        trusted = settings.kafka_ca_file or "the system's list"
        return (
            f"has a certificate of no authority in {trusted} ({error.verify_message}):"
            f" set {PREFIX}KAFKA_CA_FILE to the authority that signed it"
        )
    alert = (error.reason or "").upper()
    if "ALERT" in alert:
        return (
            f"refuses the TLS connection ({alert.lower()}): set {PREFIX}KAFKA_CERT_FILE and"
            f" {PREFIX}KAFKA_KEY_FILE to a certificate that it trusts"
        )
    return None


def _speaks_plain(address: str) -> bool:
    return broker_answers([address], ssl_context=None, timeout_s=ANSWER_S)


async def _speaks_tls(address: str) -> bool:
    """Whether a TLS handshake succeeds; nothing is sent over the connection."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, port = host_and_port(address)
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except OSError:  # TimeoutError and ssl.SSLError are ones
        return False
    writer.close()
    return True


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, what it came from, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
