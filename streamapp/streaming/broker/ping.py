"""The check whether a broker answers, without a client: one request that needs no login."""

import socket
import ssl
import struct
from collections.abc import Sequence
from urllib.parse import urlsplit

#: ApiVersions request, version 0, correlation id 1, no client id: the one request that every
#: broker answers before any authentication. Source: Kafka protocol guide, "ApiVersions".
API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)


def broker_answers(
    brokers: Sequence[str], *, ssl_context: ssl.SSLContext | None, timeout_s: float
) -> bool:
    """Whether any of the brokers answers a Kafka request; blocks up to ``timeout_s`` for each."""
    for broker in brokers:
        url = urlsplit(f"kafka://{broker}")
        try:
            with socket.create_connection(
                (url.hostname or "localhost", url.port or 9092), timeout_s
            ) as plain:
                connection = plain
                if ssl_context is not None:
                    connection = ssl_context.wrap_socket(plain, server_hostname=url.hostname)
                connection.settimeout(timeout_s)
                connection.sendall(API_VERSIONS)
                if len(connection.recv(8)) == 8:
                    return True
        except OSError:
            continue
    return False
