"""How Kafka clients reach the brokers: addresses, TLS and SASL from the settings, in one place."""

import ssl
from typing import Any

from faust.auth import SASLCredentials, SSLCredentials

from streamapp.errors import ConfigurationError
from streamapp.settings import Settings


def kafka_client_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments that every aiokafka client takes.

    Raises:
        ConfigurationError: A certificate file cannot be used.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.brokers,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": _ssl_context(settings),
    }
    if _uses_sasl(settings):
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    return options


def broker_credentials(settings: Settings) -> SASLCredentials | SSLCredentials | None:
    """Return Faust's ``broker_credentials`` for the same settings; None for plain connections.

    Raises:
        ConfigurationError: A certificate file cannot be used.
    """
    context = _ssl_context(settings)
    if _uses_sasl(settings):
        return SASLCredentials(
            username=settings.kafka_sasl_username,
            password=settings.kafka_sasl_password.get_secret_value(),
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None


def _uses_sasl(settings: Settings) -> bool:
    return settings.kafka_security_protocol.startswith("SASL_")


def _ssl_context(settings: Settings) -> ssl.SSLContext | None:
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(
            f"STREAMAPP_KAFKA_CA_FILE: cannot use {str(settings.kafka_ca_file)!r}: {error}"
        ) from error
    if settings.kafka_cert_file:
        try:
            # A password prompt would hang a worker: encrypted keys are refused.
            context.load_cert_chain(
                settings.kafka_cert_file, settings.kafka_key_file, password=lambda: b""
            )
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                "STREAMAPP_KAFKA_CERT_FILE, STREAMAPP_KAFKA_KEY_FILE: cannot use"
                f" {str(settings.kafka_cert_file)!r}: {error}"
            ) from error
    return context
