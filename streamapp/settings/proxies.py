"""The proxies that the environment names: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`."""

from urllib.request import getproxies_environment, proxy_bypass

from streamapp.errors import ConfigurationError


def proxy_for(scheme: str, host: str) -> str | None:
    """Return the address of the proxy through which a host is reached; None for none.

    Args:
        scheme: Of the host's URL: ``http`` or ``https``.
        host: Its name, or ``NAME:PORT``.

    Raises:
        ConfigurationError: It is no HTTP proxy.
    """
    proxies = getproxies_environment()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{scheme.upper()}_PROXY: only HTTP proxies are spoken to: write http://HOST:PORT"
        )
    return proxy
