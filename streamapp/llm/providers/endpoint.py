"""The address, the key and the extras of a configured provider, checked."""

import re
from collections.abc import Mapping
from typing import Any

from yarl import URL

from streamapp.errors import ConfigurationError
from streamapp.settings.file_secrets import KEY_HEADERS

_TOKEN = re.compile(r"[A-Za-z0-9-]{1,64}")
#: What a body and the headers hold that no extra may replace, beside the header of the key.
OUR_FIELDS = frozenset(
    {"model", "messages", "input", "stream", "stream_options", "response_format", "output_config"}
)
OUR_HEADERS = frozenset(
    {"content-type", "content-length", "host", "transfer-encoding", "connection"}
    | {"anthropic-version"}
)


def checked_url(name: str, text: str) -> URL:
    """Return the base URL of the provider ``name``.

    Raises:
        ConfigurationError: It cannot be called, or holds credentials.
    """
    try:
        url = URL(text.rstrip("/"))
        (url.host or "").encode("idna")
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string:
        raise ConfigurationError(
            f"providers.{name}.base_url: write http(s)://HOST[:PORT]/PATH, without credentials"
        )
    return url


def checked_key(name: str, text: str) -> str:
    """Return the API key of the provider ``name``, without surrounding space.

    Raises:
        ConfigurationError: No header can carry it.
    """
    key = text.strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError(f"providers.{name}: the API key holds unprintable characters")
    return key


def checked_extras(
    name: str, *, kind: str, body: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what is sent with each call of the provider ``name`` besides what is ours.

    A gateway may want its own key in a header that is another kind's.

    Raises:
        ConfigurationError: It would replace what is ours, or no header can carry it.
    """
    for field in body:
        if field in OUR_FIELDS:
            raise ConfigurationError(
                f"providers.{name}.extra_body.{field}: it is set by each call: remove it"
            )
    for header, value in headers.items():
        where = f"providers.{name}.extra_headers.{header}"
        if header.lower() in KEY_HEADERS.get(kind, ()):
            sent = "keys come from api_key_env, which sends them in this header"
            raise ConfigurationError(f"{where}: {sent}: remove it")
        if header.lower() in OUR_HEADERS:
            raise ConfigurationError(f"{where}: it is set by streamapp: remove it")
        if not _TOKEN.fullmatch(header):
            where = f"providers.{name}.extra_headers"
            raise ConfigurationError(f"{where}: write names of letters, digits and '-'")
        if not (value.isascii() and value.isprintable()):
            raise ConfigurationError(f"{where}: write a text of printable ASCII characters")
    return dict(body), {header.lower(): value for header, value in headers.items()}
