"""The TLS context of Kafka clients, which reads its files again once they are rotated."""

import contextlib
import os
import ssl
import sys
from collections.abc import Iterable
from typing import Any, Self

import structlog

from streamapp.errors import ConfigurationError
from streamapp.settings import PREFIX, Settings
from streamapp.settings.file_problems import file_problem

log = structlog.get_logger(__name__)

#: What tells that a file is another one: its place on the disk, its time and its size.
Stamps = tuple[tuple[int, int, int], ...]


class OneSidedClose(ssl.SSLObject):
    """A connection that says goodbye and does not wait for the broker to say it too.

    asyncio and uvloop wait for 30 s. A broker that has a fetch in hand answers that, and not the
    goodbye: each recovery of the ledger stood still for as long, and so did the partitions.
    """

    def unwrap(self) -> None:
        """Leave a goodbye to be sent; all that was asked is answered or given up by now."""
        with contextlib.suppress(ssl.SSLWantReadError):
            super().unwrap()


class RotatingContext(ssl.SSLContext):
    """A client's context, whose certificates are those of the files at each new connection.

    A rotated authority is trusted beside the one before, which a restart forgets. Files that
    cannot be used any more are named in the log, and what was read before stays in use.
    """

    sslobject_class = OneSidedClose
    _settings: Settings
    _stamps: Stamps

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the context of the settings' files.

        Raises:
            ConfigurationError: A file cannot be used.
        """
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context._settings = settings
        context._stamps = _stamps(settings)
        if sys.version_info >= (3, 13):  # as `ssl.create_default_context`
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
        if settings.kafka_ca_file is None:
            context.load_default_certs()
        context._read()
        return context

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Begin a connection, as asyncio does."""
        try:
            stamps = _stamps(self._settings)
            if stamps != self._stamps:
                self._read()
                self._stamps = stamps
                log.info("kafka.certificates_read_again")
        except (ConfigurationError, OSError) as error:
            log.error("kafka.certificates_unusable", reason=str(error)[:200])
        return super().wrap_bio(*args, **kwargs)

    def _read(self) -> None:
        settings = self._settings
        if settings.kafka_ca_file is not None:
            try:
                self.load_verify_locations(cafile=settings.kafka_ca_file)
            except OSError as error:  # ssl.SSLError is one
                raise ConfigurationError(
                    f"{PREFIX}KAFKA_CA_FILE: {file_problem([settings.kafka_ca_file], error)}"
                ) from error
        if settings.kafka_cert_file:
            try:
                # A password prompt would hang a worker: encrypted keys are refused.
                self.load_cert_chain(
                    settings.kafka_cert_file, settings.kafka_key_file, password=lambda: b""
                )
            except (OSError, ValueError) as error:
                files = settings.kafka_cert_file, settings.kafka_key_file
                raise ConfigurationError(
                    f"{PREFIX}KAFKA_CERT_FILE, {PREFIX}KAFKA_KEY_FILE: {file_problem(files, error)}"
                ) from error


def _stamps(settings: Settings) -> Stamps:
    """Return what tells the files apart; one that is missing has none, and is told when read."""
    files = (settings.kafka_ca_file, settings.kafka_cert_file, settings.kafka_key_file)
    return tuple(_stamp(file) for file in _named(files))


def _stamp(file: str | os.PathLike[str]) -> tuple[int, int, int]:
    try:
        status = os.stat(file)
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _named(
    files: Iterable[str | os.PathLike[str] | None],
) -> Iterable[str | os.PathLike[str]]:
    return (file for file in files if file)
