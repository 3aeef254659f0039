"""What the environment says about the network: proxies, and whom to trust."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

from haversack.download.addresses import is_loopback, literal
from haversack.download.origin import Origin
from haversack.errors import UsageError
from haversack.storage.looking import as_path

_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def proxy_for(origin: Origin) -> str | None:
    """Find the proxy for an origin; loopback never goes through one.

    ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy`` are obeyed, the last with
    names, domains and networks (``10.0.0.0/8``).
    """
    if is_loopback(origin.host):
        return None
    if any(_matches(origin, entry) for entry in _bypassing()):
        return None
    return _variable(origin.scheme) or _variable("all") or None


def _bypassing() -> list[str]:
    entries = [entry.strip().lower() for entry in _variable("no").split(",")]
    return [entry for entry in entries if entry]


def _variable(scheme: str) -> str:
    """Read a variable, of which the one in lower case counts first, also where it is empty."""
    name = f"{scheme}_proxy"
    # Below a CGI server HTTP_PROXY is the header "Proxy" of whoever asks.
    capital = "" if scheme == "http" and "REQUEST_METHOD" in os.environ else name.upper()
    return os.environ.get(name, os.environ.get(capital, ""))


def _matches(origin: Origin, entry: str) -> bool:
    """Match an entry of ``no_proxy``: ``*``, a network, or a name with all below it."""
    if entry in ("*", f"{origin.host}:{origin.port}"):
        return True
    if "/" in entry:
        return _within(literal(origin.host), entry)
    name = entry.removeprefix("*").removeprefix(".")
    return origin.host == name or origin.host.endswith(f".{name}")


def _within(address: str | None, network: str) -> bool:
    try:
        return address is not None and (
            ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
        )
    except ValueError:
        return False


def certificates(chosen: str | os.PathLike[str] | None = None) -> Path:
    """Find the certificate authorities to trust.

    In order: the one chosen, ``SSL_CERT_FILE``, ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``, the
    system's, certifi's.

    Raises
    ------
    UsageError
        A bundle that is named does not exist.
    """
    named = [(name, os.environ.get(name)) for name in _VARIABLES]
    for name, value in [("the chosen CA bundle", chosen), *named]:
        if value:
            path = as_path(value).expanduser()
            if not path.exists():
                raise UsageError(f"{name} names {path}, which does not exist")
            return path
    found = next((path for path in map(Path, _SYSTEM) if path.is_file()), None)
    return found or _of_python()


def _of_python() -> Path:
    """Find those of Python's own OpenSSL, which is loaded for nothing else, or certifi's."""
    import ssl

    import certifi

    return Path(ssl.get_default_verify_paths().cafile or certifi.where())
