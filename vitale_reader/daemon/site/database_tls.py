"""Requires an encrypted line to a site's database and a checked server, unless the line stays on this machine.

Read as libpq reads it: the URL before the environment (``PGHOST``, ``PGSSLMODE`` …). A service file is not looked into.
So what it might say is taken for a remote host without TLS.
"""

import ipaddress
import os
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["encrypted", "local", "require_encrypted_line"]

#: The one mode of libpq that checks who answers.
CHECKED = "verify-full"


def require_encrypted_line(url: str, policy: str, environ: Mapping[str, str] | None = None) -> None:
    """Refuses a line to another machine that is not checked, unless the site says otherwise in plain words.

    Args:
        url: the URL of the database.
        policy: ``[site] tls``.
        environ: what libpq takes from the environment; the process's own by default.

    Raises:
        ConfigurationInvalid: TLS is required and is not what the URL asks for.
    """
    environ = os.environ if environ is None else environ
    if policy == CHECKED and not (local(url, environ) or encrypted(url, environ)):
        raise ConfigurationInvalid(
            "the database is on another machine, and its URL does not say sslmode=verify-full",
            variant="store_without_tls",
            data={"path": "store"},
        )


def encrypted(url: str, environ: Mapping[str, str]) -> bool:
    """True if every line to the database is encrypted, and its server checked."""
    modes = _query(url).get("sslmode") or [environ.get("PGSSLMODE", "")]
    return set(modes) == {CHECKED}


def local(url: str, environ: Mapping[str, str]) -> bool:
    """True if every line to the database stays on this machine: Unix sockets and loopback addresses."""
    query = _query(url)
    if "service" in query or "PGSERVICE" in environ:
        return False
    hosts = [*_hosts(url), *_split(query, "host"), *_split(query, "hostaddr")]
    if not hosts:
        hosts = [host for name in ("PGHOST", "PGHOSTADDR") for host in environ.get(name, "").split(",") if host]
    return all(_is_local(host) for host in hosts)  # without any, libpq takes the Unix socket


def _query(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, keep_blank_values=True)


def _split(query: Mapping[str, list[str]], name: str) -> Iterator[str]:
    for value in query.get(name, []):
        for host in value.split(","):
            yield _without_port(host)


def _hosts(url: str) -> Iterator[str]:
    for host in urlsplit(url).netloc.rpartition("@")[2].split(","):
        if named := _without_port(unquote(host)):
            yield named


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def _is_local(host: str) -> bool:
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
