"""A program that floods the port for web pages with one thing until it is killed, with the standard library alone.

``python -P web_flood.py KIND PORT SITE``. ``SITE`` is one of a paired page: what it sends is let in.
"""

import base64
import contextlib
import itertools
import os
import select
import socket
import sys
import threading
from collections.abc import Callable
from typing import Final

CONNECTIONS: Final = 10_000
SLOW: Final = 200
SECONDS_A_BYTE: Final = 0.1


def handshake(port: int, site: str) -> bytes:
    """The request of a page that is let in."""
    fields = {
        "Host": f"127.0.0.1:{port}",
        "Origin": site,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "vitale-reader.1",
    }
    return (
        "GET /v1 HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    ).encode()


def connected(port: int) -> socket.socket:
    """A connection to the port."""
    return socket.create_connection(("127.0.0.1", port), timeout=30)


if sys.platform == "win32":

    def connections(port: int, _: str) -> None:
        raise OSError(f"no page reaches port {port} there")

else:
    import resource

    def connections(port: int, _: str) -> None:
        """Opens connections that say nothing, up to ten thousand, and one more for each that is closed."""
        _soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        gone = select.poll()
        kept: dict[int, socket.socket] = {}
        for opened in itertools.count(1):
            try:
                made = connected(port)
            except OSError:
                threading.Event().wait(0.01)
                continue
            kept[made.fileno()] = made
            gone.register(made, select.POLLIN | select.POLLHUP)
            if opened % 50 == 0 or len(kept) >= min(CONNECTIONS, most - 50):
                for number, _event in gone.poll(0 if len(kept) < CONNECTIONS else 1_000):
                    gone.unregister(number)
                    kept.pop(number).close()


def header_bombs(port: int, _: str) -> None:
    """Sends one field after the other, without end."""
    with connected(port) as line:
        line.sendall(b"GET /v1 HTTP/1.1\r\n")
        for number in itertools.count():
            line.sendall(f"X-{number}: {'x' * 4_000}\r\n".encode())


def slow_bytes(port: int, site: str) -> None:
    """Sends a handshake byte by byte, on many connections."""
    lines = [connected(port) for _ in range(SLOW)]
    for byte in handshake(port, site):
        for line in lines:
            with contextlib.suppress(OSError):
                line.sendall(bytes((byte,)))
        threading.Event().wait(SECONDS_A_BYTE)
    for line in lines:
        line.close()


def opened(port: int, site: str) -> socket.socket:
    """A WebSocket."""
    line = connected(port)
    line.sendall(handshake(port, site))
    if b" 101 " not in line.recv(4_096):
        line.close()
        raise ConnectionError("it is not let in")
    return line


def masked(first: int, payload: bytes) -> bytes:
    """A short frame of a page."""
    return bytes((first, 0x80 | len(payload))) + bytes(4) + payload


def fragments(port: int, site: str) -> None:
    """Opens a WebSocket and sends one message in fragments, without an end."""
    with opened(port, site) as line:
        line.sendall(masked(0x01, b"x" * 100))
        while True:
            line.sendall(masked(0x00, b"x" * 100))


def pings(port: int, site: str) -> None:
    """Opens a WebSocket and asks for signs of life, without an end; reads none of them."""
    with opened(port, site) as line:
        while True:
            line.sendall(masked(0x89, b"") * 500)


def messages(port: int, site: str) -> None:
    """Opens a WebSocket, says what the core refuses, and comes again once it is sent away."""
    with opened(port, site) as line:
        line.sendall(masked(0x81, b'{"jsonrpc":"2.0","id":1,"method":"session.ping","params":{}}'))
        while line.recv(4_096):
            pass


def refusals(port: int, _: str) -> None:
    """Asks as a page of a site that nobody knows."""
    with connected(port) as line:
        line.sendall(handshake(port, "https://inconnu.example"))
        while line.recv(4_096):
            pass


KINDS: dict[str, tuple[Callable[[int, str], None], int]] = {
    "connections": (connections, 1),
    "header bombs": (header_bombs, 4),
    "slow bytes": (slow_bytes, 1),
    "fragments": (fragments, 4),
    "pings": (pings, 4),
    "messages": (messages, 4),
    "refusals": (refusals, 4),
}


def keep_at_it(kind: str, port: int, site: str) -> None:
    """Begins again whenever it is hung up on."""
    work, _ = KINDS[kind]
    while True:
        try:
            work(port, site)
        except OSError:
            threading.Event().wait(0.01)


def main() -> None:
    """Floods from as many connections as the kind has, until it is killed."""
    kind, port, site = sys.argv[1:]
    for _ in range(KINDS[kind][1]):
        threading.Thread(target=keep_at_it, args=(kind, int(port), site), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
