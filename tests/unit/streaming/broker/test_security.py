"""How Kafka clients reach the brokers."""

import ssl
from pathlib import Path
from typing import Any, cast

import pytest
from faust.auth import SASLCredentials, SSLCredentials
from pydantic import SecretStr, ValidationError

from streamapp.errors import ConfigurationError
from streamapp.settings import Settings
from streamapp.streaming.broker.security import broker_credentials, kafka_client_options

SASL = {
    "kafka_sasl_mechanism": "SCRAM-SHA-512",
    "kafka_sasl_username": "user",
    "kafka_sasl_password": SecretStr("CANARY"),
}


def settings(protocol: str, **kwargs: Any) -> Settings:
    defaults: dict[str, Any] = {
        "broker": "kafka://a:1;kafka://b:2",
        "kafka_security_protocol": protocol,
        **(SASL if protocol.startswith("SASL_") else {}),
    }
    return Settings(_env_file=None, **(defaults | kwargs))


def test_plain_connections_have_neither_tls_nor_sasl() -> None:
    """The default needs nothing but addresses."""
    plain = settings("PLAINTEXT")

    assert kafka_client_options(plain) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }
    assert broker_credentials(plain) is None


@pytest.mark.parametrize(
    ("protocol", "has_tls", "has_sasl", "credentials"),
    [
        ("SSL", True, False, SSLCredentials),
        ("SASL_SSL", True, True, SASLCredentials),
        ("SASL_PLAINTEXT", False, True, SASLCredentials),
    ],
)
def test_protocol_decides_tls_and_sasl_for_both_clients(
    protocol: str, has_tls: bool, has_sasl: bool, credentials: type
) -> None:
    """Faust and aiokafka are told the same; TLS checks certificate and host name."""
    secured = settings(protocol, kafka_allow_plaintext_sasl=True)

    options, faust = kafka_client_options(secured), broker_credentials(secured)

    context = options["ssl_context"]
    assert (context is not None) == has_tls
    if has_tls:
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED
    assert ("sasl_mechanism" in options) == has_sasl
    assert isinstance(faust, credentials)
    faust = cast(Any, faust)
    assert faust.protocol.value == protocol
    assert "CANARY" not in repr(faust)
    if has_sasl:
        assert options["sasl_plain_password"] == "CANARY"
        assert faust.mechanism.value == options["sasl_mechanism"] == "SCRAM-SHA-512"


@pytest.mark.parametrize(
    ("field", "variable"),
    [("kafka_ca_file", "KAFKA_CA_FILE"), ("kafka_cert_file", "KAFKA_CERT_FILE")],
)
@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "wrong"])
def test_unusable_certificate_file_is_named(
    tmp_path: Path, field: str, variable: str, content: str | None
) -> None:
    """A missing or wrong file is a wrong configuration that names the variable and the path."""
    file = tmp_path / "file.pem"
    if content:
        file.write_text(content)

    with pytest.raises(ConfigurationError, match=f"STREAMAPP_{variable}.*file.pem"):
        kafka_client_options(settings("SSL", **{field: file}))


@pytest.mark.parametrize(
    ("protocol", "wrong", "variables"),
    [
        ("SASL_SSL", {"kafka_sasl_username": ""}, "KAFKA_SASL_USERNAME"),
        ("SASL_SSL", {"kafka_sasl_password": SecretStr("")}, "KAFKA_SASL_PASSWORD"),
        ("SSL", {"kafka_sasl_password": SecretStr("CANARY")}, "KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
        ("PLAINTEXT", {"kafka_sasl_username": "user"}, "KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
        ("PLAINTEXT", {"kafka_ca_file": "ca.pem"}, "KAFKA_CA_FILE.*KAFKA_SECURITY_PROTOCOL=SSL"),
        ("SSL", {"kafka_key_file": "key.pem"}, "KAFKA_CERT_FILE"),
    ],
)
def test_setting_that_would_be_ignored_or_is_missing_is_refused(
    protocol: str, wrong: dict[str, Any], variables: str
) -> None:
    """Nobody believes to be protected by a setting that does nothing; both clients refuse."""
    wrongly = settings(protocol, **wrong)

    for build in (kafka_client_options, broker_credentials):
        with pytest.raises(ConfigurationError, match=variables) as refused:
            build(wrongly)
        assert "CANARY" not in str(refused.value)


def test_password_in_the_clear_must_be_allowed() -> None:
    """SASL without TLS is refused by its own setting's name."""
    with pytest.raises(ValidationError, match="STREAMAPP_KAFKA_ALLOW_PLAINTEXT_SASL=true"):
        settings("SASL_PLAINTEXT")
