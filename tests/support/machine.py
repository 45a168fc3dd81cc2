"""The machine that the tests run on, and how little of it they see.

A test that meets a port, folder or variable of its machine passes here and fails there. Nothing
of the environment is seen but what is named here, HOME is empty, and connections leave neither
this machine nor reach a port at which a program listens unless it was told otherwise.
"""

import ipaddress
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

#: The environment as the test process found it: for programs that fetch packages or jars, which
#: need to know of proxies, mirrors, certificates and caches. For nothing else.
ENVIRONMENT: Mapping[str, str] = MappingProxyType(dict(os.environ))

#: Beginnings of the names that every test sees: where programs are, how they speak, whether this
#: is CI, and what the tools of testing tell their own children.
SEEN = (
    *("PATH", "LANG", "LC_", "TERM", "TMPDIR", "PYENV_", "JAVA_HOME", "LD_LIBRARY_PATH", "CI"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTEST_"),
)

#: Where a worker, Kafka, its registry, Redis, an OpenTelemetry collector, Prometheus, Grafana,
#: model servers and LiteLLM's proxy listen by default: a test gives its programs free ports.
DEFAULT_PORTS = frozenset({6066, 9092, 8081, 6379, 4317, 4318, 9090, 3000, 11434, 8000, 4000})


def hide(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Hide the machine's environment; HOME is ``home``.

    What a script starts in the background ignores Ctrl-C, and so would all that the tests start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in list(os.environ):
        if not name.startswith(SEEN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))


@contextmanager
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse connections and name look-ups that a test must not make.

    Raises:
        AssertionError: At the end, where one went to a default port: whoever asked may have taken
            the refusal for "nobody there", as it is on most machines.
    """
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    getaddrinfo = socket.getaddrinfo
    met: list[int] = []

    def allow(where: socket.socket, address: Any) -> None:
        if where.family in (socket.AF_INET, socket.AF_INET6):
            _require_loopback(address[0])
            if address[1] in DEFAULT_PORTS:
                met.append(address[1])
                raise ConnectionRefusedError(f"tests have ports of their own, not {address[1]}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        allow(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        allow(self, address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _require_loopback(host)
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
    yield
    assert not met, f"this test asked whoever listens on {met} of its machine: give a free port"


def _require_loopback(host: str | bytes | None) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        is_ours = ipaddress.ip_address(name).is_loopback
    except ValueError:
        is_ours = False
    if not is_ours:
        raise OSError(f"tests reach loopback only, not {name}")
