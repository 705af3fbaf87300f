"""A program that floods a daemon with one thing until it is killed, with the standard library alone.

``python -P flood.py KIND SOCKET CREDENTIAL``. It reads what comes back as fast as it comes, so that nothing but
the daemon's own restraint holds it up.
"""

import json
import select
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

#: Nothing of the tests is found from here, and on Windows there are no such sockets.
UNIX_SOCKETS = int(getattr(socket, "AF_UNIX", 0))

#: Bytes of a long message, below what the page of the wire allows.
LONG = 1_000_000


def message(method: str, **params: Any) -> bytes:
    """A call; the same id again and again is a fault of the caller, and has to be cheap as well."""
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode() + b"\n"


def many(method: str, count: int, **params: Any) -> bytes:
    """So many calls with ids of their own."""
    call = {"jsonrpc": "2.0", "method": method, "params": params}
    return b"".join(json.dumps(call | {"id": number}).encode() + b"\n" for number in range(count))


def batch(method: str, count: int) -> bytes:
    """So many calls in one message."""
    call: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": {}}
    return json.dumps([call | {"id": number} for number in range(count)]).encode() + b"\n"


def opening(credential: str) -> bytes:
    """The first message of a session."""
    return message("session.open", protocol=[1], client={"name": "flood"}, credential=credential)


def pour(line: socket.socket, data: bytes) -> None:
    """Sends the same without end, and reads what comes."""
    line.setblocking(False)
    view = memoryview(data)
    while True:
        readable, writable, _ = select.select([line], [line], [], 5)
        if readable and not line.recv(1 << 16):
            return
        if writable:
            view = view[line.send(view) :] or memoryview(data)


def opened(data: bytes) -> Callable[[socket.socket, str], None]:
    """A flood within a session."""

    def work(line: socket.socket, credential: str) -> None:
        line.sendall(opening(credential))
        line.recv(1 << 16)
        pour(line, data)

    return work


def unopened(data: bytes) -> Callable[[socket.socket, str], None]:
    """A flood before any session."""
    return lambda line, _: pour(line, data)


def openings(line: socket.socket, credential: str) -> None:
    """Opens a session that is accepted, and leaves."""
    line.sendall(opening(credential))
    line.recv(1 << 16)


def refused_openings(line: socket.socket, _: str) -> None:
    """Opens a session that is refused."""
    line.sendall(opening("nobody"))
    line.recv(1 << 16)


def silence(line: socket.socket, _: str) -> None:
    """Connects, and says nothing until it is hung up on."""
    line.settimeout(60)
    line.recv(1)


CODE = {"nonce": "n" * 24, "payload": "mdoc:x"}
KINDS: dict[str, tuple[Callable[[socket.socket, str], None], int]] = {
    "refused submits": (opened(many("presentation.submit", 500, **CODE)), 1),
    "pings": (opened(many("session.ping", 500)), 4),
    "lists": (opened(many("outbox.list", 30)), 4),
    "acknowledgements": (opened(many("outbox.ack", 20, jti=[f"{number:036}" for number in range(1_000)])), 4),
    "batches": (opened(batch("station.info", 50)), 2),
    "requests and cancels": (
        opened(many("presentation.request", 20, nonce="n" * 24) + many("presentation.cancel", 20, request=1)),
        2,
    ),
    "long messages": (opened(b"[" + b"[]," * (LONG // 3) + b"[]]\n"), 4),
    "unopened, brackets": (unopened(b"[" + b"[]," * (LONG // 3) + b"[]]\n"), 4),
    "unopened, rubbish": (unopened(b"x\n" * 8_192), 4),
    "openings": (openings, 2),
    "refused openings": (refused_openings, 2),
    "silent connections": (silence, 100),
}


def keep_at_it(kind: str, path: str, credential: str) -> None:
    """Connects again whenever it is hung up on."""
    work, _ = KINDS[kind]
    while True:
        try:
            with socket.socket(UNIX_SOCKETS) as line:
                line.connect(path)
                work(line, credential)
        except OSError:
            threading.Event().wait(0.01)


def main() -> None:
    """Floods from as many connections as the kind has, until it is killed."""
    kind, path, credential = sys.argv[1:]
    for _ in range(KINDS[kind][1]):
        threading.Thread(target=keep_at_it, args=(kind, path, credential), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
