"""One Apache Kafka behind every kind of listener: TLS, client certificates, passwords.

Its certificates are made for the occasion and name 127.0.0.1 alone, so that `localhost` is a
wrong host name.
"""

from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.support.kafka import KafkaBroker

USER, PASSWORD = "streams", "CANARY-kafka-password"
#: May nothing until it is granted; the others may everything.
LIMITED = "limited"

#: Listener to security protocol. ELSEWHERE is advertised as 127.0.0.1 with another name's
#: certificate.
DOORS = {
    "TLS": "SSL",
    "MTLS": "SSL",
    "SASL": "SASL_SSL",
    "CLEARSASL": "SASL_PLAINTEXT",
    "ELSEWHERE": "SSL",
}

LOGIN = "org.apache.kafka.common.security"


class GuardedKafka:
    """The broker, and the settings that open each of its listeners.

    Attributes:
        broker: Not started; its plain listener is for the test itself.
        ca_file: The authority of its certificates.
        foreign_ca_file: An authority that signed none of them.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        ca, foreign = trustme.CA(), trustme.CA()
        self.ca_file, self.foreign_ca_file = directory / "ca.pem", directory / "foreign.pem"
        ca.cert_pem.write_to_path(self.ca_file)
        foreign.cert_pem.write_to_path(self.foreign_ca_file)
        server, elsewhere = directory / "server.pem", directory / "elsewhere.pem"
        _write(ca.issue_cert("127.0.0.1"), server)
        _write(ca.issue_cert("localhost"), elsewhere)
        self._client = directory / "client.pem"
        _write(ca.issue_cert("worker@example.org"), self._client)
        self.broker = KafkaBroker(
            directory / "broker",
            listeners=DOORS,
            scram_users={USER: PASSWORD, LIMITED: PASSWORD},
            config={
                "authorizer.class.name": (
                    "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
                ),
                "super.users": f"User:ANONYMOUS;User:{USER};User:certified",
                "ssl.principal.mapping.rules": "RULE:^.*$/certified/",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(server),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self.ca_file),
                "listener.name.mtls.ssl.client.auth": "required",
                "listener.name.elsewhere.ssl.keystore.type": "PEM",
                "listener.name.elsewhere.ssl.keystore.location": str(elsewhere),
                "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
                "listener.name.clearsasl.sasl.enabled.mechanisms": "PLAIN",
                **{
                    f"listener.name.{listener}.plain.sasl.jaas.config": (
                        f'{LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
                    )
                    for listener in ("sasl", "clearsasl")
                },
                "listener.name.sasl.scram-sha-512.sasl.jaas.config": (
                    f"{LOGIN}.scram.ScramLoginModule required;"
                ),
            },
        )

    def tls(self, listener: str = "TLS", *, host: str = "127.0.0.1") -> dict[str, str]:
        """Return settings for a listener that asks for nothing but TLS."""
        return {
            "broker": f"kafka://{host}:{self.broker.listener_ports[listener]}",
            "kafka_security_protocol": "SSL",
            "kafka_ca_file": str(self.ca_file),
        }

    def mtls(self) -> dict[str, str]:
        """Return settings for the listener that asks for a certificate."""
        return self.tls("MTLS") | {"kafka_cert_file": str(self._client)}

    def sasl(self, mechanism: str, *, listener: str = "SASL") -> dict[str, str]:
        """Return settings for a listener that asks for a password."""
        return {
            **self.tls(listener),
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": mechanism,
            "kafka_sasl_username": USER,
            "kafka_sasl_password": PASSWORD,
        }


def _write(certificate: trustme.LeafCert, path: Path) -> None:
    """Write key and chain into one file; Kafka takes keys as PKCS #8 only."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), password=None)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for pem in certificate.cert_chain_pems:
        text += pem.bytes()
    path.write_bytes(text)
