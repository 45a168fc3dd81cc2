"""Checks of single settings."""

from collections.abc import Collection, Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from streamapp.errors import ConfigurationError
from streamapp.settings.tables import PREFIX, ModelSettings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def refuse_public(host: str, *, has_keys: bool) -> None:
    """Raise ``ConfigurationError`` for a host that others reach while no key is asked for."""
    if host not in LOOPBACK and not has_keys:
        raise ConfigurationError(
            f"the web host {host} is public: set {PREFIX}API_KEYS or [keys.NAME]"
        )


def keys_of(value: SecretStr) -> tuple[str, ...]:
    """Return the keys of a comma-separated list."""
    return tuple(key.strip() for key in value.get_secret_value().split(",") if key.strip())


#: Where the user of an address belongs, which no broker's may hold.
BROKER_USER = f"set {PREFIX}KAFKA_SASL_USERNAME and {PREFIX}KAFKA_SASL_PASSWORD"


def brokers_of(value: str) -> list[str]:
    """Return the addresses of a cluster; raises ValueError where they cannot be those."""
    if "@" in value:
        raise ValueError(f"holds a user: must be kafka://HOST:PORT; {BROKER_USER}")
    urls = [url.strip() for url in value.split(";") if url.strip()]
    if not urls or not all(map(_is_broker, urls)):
        raise ValueError("must be kafka://HOST:PORT, several separated by ';'")
    return urls


def _is_broker(url: str) -> bool:
    """Whether ``url`` is kafka://HOST:PORT, or kafka://HOST."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and url == f"kafka://{parts.netloc}"
    except ValueError:  # a port that is no number, or too large
        return False


def address_of(value: str) -> str:
    """Return the address of a server, or none; raises ValueError where it cannot be one."""
    if value and not is_address(value):
        raise ValueError("write an address, as http://HOST:PORT")
    return value


def is_address(value: str) -> bool:
    """Whether a server may be there: http://HOST, or https, with or without a port and a path."""
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or a bracket left open
        return False


#: Of a server; empty for none.
Address = Annotated[str, AfterValidator(address_of)]


def listed(text: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated setting."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def is_private(url: str) -> bool:
    """Whether a secret may be sent to ``url``: by TLS, or on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def refuse_unknown_targets(models: Mapping[str, ModelSettings], providers: Collection[str]) -> None:
    """Raise ``ValueError`` that names each target which is no model of one of the providers."""
    none = "there is none yet, add [providers.NAME] (kind = 'offline' is built in)"
    wrong = [
        f"models.{name} target {target!r}: write PROVIDER/MODEL with one of the providers:"
        f" {', '.join(sorted(providers)) or none}"
        for name, route in models.items()
        for target in route.all_targets
        if target.partition("/")[0] not in providers or not target.partition("/")[2]
    ]
    if wrong:
        raise ValueError("; ".join(wrong))
