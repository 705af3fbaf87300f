"""The TCP port of the station: free, ours, or of another program, and whose."""

import contextlib
import errno
import socket
from collections.abc import Callable, Iterator
from typing import Literal

from vitale_protocol.diagnosis.check_results import CheckResult, of_error
from vitale_protocol.errors import ConfigurationInvalid, JsonValue

__all__ = ["look", "look_at_loopback"]


def look(host: str, port: int, *, ours: bool, holder: Callable[[int], str]) -> Iterator[CheckResult]:
    """Looks at a port.

    Args:
        host: the address that is listened on.
        port: 0 for any, which is always free.
        ours: whether the daemon of this station has it.
        holder: tells who listens on a port, as far as that can be seen.
    """
    if port == 0:
        return
    if ours:
        yield CheckResult(id="port_ours", subject="port", state="ok", values={"port": port})
    elif _is_elsewhere(host, port):
        detail = f"{host} is no address of this machine"
        yield of_error(ConfigurationInvalid(detail, variant="address_not_here", data={"path": "tls.host"}), "port")
    elif _is_free(host, port):
        yield CheckResult(id="port_free", subject="port", state="ok", values={"port": port})
    else:
        held_by = holder(port)
        detail = f"{host}:{port} is held by {held_by}" if held_by else f"{host}:{port} is held"
        data: dict[str, JsonValue] = {"path": "tls.port", "port": port, "holder": held_by}
        yield of_error(ConfigurationInvalid(detail, variant="port_in_use", data=data), "port")


def look_at_loopback(
    port: int, *, table: Literal["web", "metrics"], holder: Callable[[int], str]
) -> Iterator[CheckResult]:
    """Looks at a port that is needed on both loopback addresses, while no daemon has it.

    Args:
        port: 0 for any, which is always free.
        table: of the configuration in which it stands.
        holder: tells who listens on a port, as far as that can be seen.
    """
    taken = [host for host in ("127.0.0.1", "::1") if port and not _is_free(host, port)]
    if taken:
        held_by = holder(port)
        detail = f"port {port} of {' and '.join(taken)} is held{f' by {held_by}' if held_by else ''}"
        data: dict[str, JsonValue] = {"path": f"{table}.port", "port": port, "holder": held_by}
        yield of_error(ConfigurationInvalid(detail, variant=f"{table}_port_in_use", data=data), "port")
    elif port:
        yield CheckResult(id="port_free", subject="port", state="ok", values={"port": port})


def _is_elsewhere(host: str, port: int) -> bool:
    """True if an address is another machine's, or will be this one's later."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((*address[:1], 0, *address[2:]))
    except OSError as error:
        return error.errno == errno.EADDRNOTAVAIL
    return False


def _is_free(host: str, port: int) -> bool:
    with contextlib.ExitStack() as stack:
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            probe = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        except OSError:
            return True  # whether the address is one is the configuration's matter
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the daemon binds
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error.errno == errno.EADDRNOTAVAIL  # a machine without IPv6
    return True
