"""Addresses, TLS and SASL of every Kafka client, from the settings.

What a wrong one of them does is told in ``refusal``.
"""

import ssl
from typing import Any

from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials

from streamapp.errors import ConfigurationError
from streamapp.settings import PREFIX, Settings
from streamapp.streaming.broker.oauth import tokens
from streamapp.streaming.broker.tls import RotatingContext
from streamapp.streaming.protocol.header_names import read_any_names


def kafka_client_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments that every aiokafka client takes.

    Raises:
        ConfigurationError: The settings do not fit together, or a file cannot be used.
    """
    _check(settings)
    read_any_names()
    options: dict[str, Any] = {
        "bootstrap_servers": settings.brokers,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": _ssl_context(settings),
    }
    if _uses_tokens(settings):
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_oauth_token_provider": tokens(settings),
        }
    elif _uses_sasl(settings):
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    return options


def log_reader_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments of a consumer that reads a log past Faust, in no group.

    It starts anew at the oldest record where what it wanted is gone; raises as
    `kafka_client_options`.
    """
    return {
        **kafka_client_options(settings),
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": settings.kafka_isolation,
    }


def broker_credentials(
    settings: Settings,
) -> OAuthCredentials | SASLCredentials | SSLCredentials | None:
    """Return Faust's ``broker_credentials`` for the same settings; None for plain connections.

    Raises:
        ConfigurationError: The settings do not fit together, or a file cannot be used.
    """
    _check(settings)
    context = _ssl_context(settings)
    if _uses_tokens(settings):
        return OAuthCredentials(oauth_cb=tokens(settings), ssl_context=context)
    if _uses_sasl(settings):
        return SASLCredentials(
            username=settings.kafka_sasl_username,
            password=settings.kafka_sasl_password.get_secret_value(),
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None


def _check(settings: Settings) -> None:
    """Refuse what would be ignored: who sets a password or an authority means to use it."""
    protocol = f"{PREFIX}KAFKA_SECURITY_PROTOCOL"
    password = settings.kafka_sasl_password.get_secret_value()
    _check_tokens(settings)
    if _uses_sasl(settings) and not _uses_tokens(settings):
        if not (settings.kafka_sasl_username and password):
            raise ConfigurationError(
                f"{protocol}={settings.kafka_security_protocol}: set"
                f" {PREFIX}KAFKA_SASL_USERNAME and {PREFIX}KAFKA_SASL_PASSWORD"
            )
    elif settings.kafka_sasl_username or password:
        raise ConfigurationError(
            f"{PREFIX}KAFKA_SASL_USERNAME or {PREFIX}KAFKA_SASL_PASSWORD is set and would not be"
            f" used: set {protocol}=SASL_SSL"
        )
    for name in ("kafka_ca_file", "kafka_cert_file", "kafka_key_file"):
        if getattr(settings, name) and not _uses_tls(settings):
            raise ConfigurationError(
                f"{PREFIX}{name.upper()} is set and would not be used: set {protocol}=SSL or"
                " SASL_SSL"
            )
    if settings.kafka_key_file and not settings.kafka_cert_file:
        raise ConfigurationError(f"{PREFIX}KAFKA_KEY_FILE: set {PREFIX}KAFKA_CERT_FILE as well")


def _check_tokens(settings: Settings) -> None:
    for name in ("token_url", "client_id", "client_secret", "scope", "provider"):
        if getattr(settings, f"kafka_oauth_{name}") and not _uses_tokens(settings):
            raise ConfigurationError(
                f"{PREFIX}KAFKA_OAUTH_{name.upper()} is set and would not be used: set"
                f" {PREFIX}KAFKA_SECURITY_PROTOCOL=SASL_SSL and"
                f" {PREFIX}KAFKA_SASL_MECHANISM=OAUTHBEARER"
            )


def _uses_tokens(settings: Settings) -> bool:
    return _uses_sasl(settings) and settings.kafka_sasl_mechanism == "OAUTHBEARER"


def _uses_tls(settings: Settings) -> bool:
    return settings.kafka_security_protocol.endswith("SSL")


def _uses_sasl(settings: Settings) -> bool:
    return settings.kafka_security_protocol.startswith("SASL_")


def _ssl_context(settings: Settings) -> ssl.SSLContext | None:
    return RotatingContext.of(settings) if _uses_tls(settings) else None
