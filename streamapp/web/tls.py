"""The certificate of HTTP: what a worker presents, and what others trust in it."""

import ssl

from streamapp.errors import ConfigurationError
from streamapp.settings import PREFIX, Settings
from streamapp.settings.file_problems import file_problem


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return what the server presents; None where it speaks plain HTTP.

    Raises:
        ConfigurationError: The files cannot be used.
    """
    if settings.web_cert_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A password prompt would hang a worker: encrypted keys are refused.
        context.load_cert_chain(settings.web_cert_file, settings.web_key_file, password=lambda: b"")
    except (OSError, ValueError) as error:  # ssl.SSLError is one
        files = settings.web_cert_file, settings.web_key_file
        raise ConfigurationError(
            f"{PREFIX}WEB_CERT_FILE and {PREFIX}WEB_KEY_FILE: {file_problem(files, error)}"
        ) from error
    return context


def peer_tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return what workers trust in one another: the usual authorities, and their own file.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    if settings.web_cert_file is None:
        return None
    context = ssl.create_default_context()
    # The file need not have the root: the certificate itself is trusted, as it stands there.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(settings.web_cert_file)
    except OSError as error:
        problem = file_problem([settings.web_cert_file], error)
        raise ConfigurationError(f"{PREFIX}WEB_CERT_FILE: {problem}") from error
    return context


def distrusted(settings: Settings, *, host: str) -> str | None:
    """Return why other workers and commands would not trust this one; None where they do.

    Args:
        settings: Name the certificate.
        host: Where they look for the worker.

    Raises:
        ConfigurationError: The files cannot be used.
    """
    server, client = tls_context(settings), peer_tls_context(settings)
    if server is None or client is None:
        return None
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there, server_hostname=host)
    asked = server.wrap_bio(there, back, server_side=True)
    for side in (asking, asked, asking):  # hello, certificate, judgement
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            return error.verify_message.rstrip(".")
    return None
