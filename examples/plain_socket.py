"""One token over a plain Unix socket: Python's standard library and nothing else, to show what the protocol takes.

The protocol is JSON-RPC 2.0, one message a line. What this program does not do is verify the token's signature: it
trusts the socket, which belongs to the same user, and says so.
"""

import json
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def socket_path() -> str:
    """Where the daemon of this user listens, as its ``endpoints.json`` tells."""
    if home := os.environ.get("VITALE_READER_HOME"):
        run = Path(home) / "run"
    elif runtime := os.environ.get("XDG_RUNTIME_DIR"):
        run = Path(runtime) / "vitale-reader"
    else:
        run = Path.home() / ".local/state/vitale-reader/run"
    endpoints = json.loads((run / "endpoints.json").read_text("utf-8"))
    return str(endpoints["unix"])


if sys.platform == "win32":

    def connected(path: str) -> socket.socket:
        raise SystemExit(f"Python has no Unix sockets on Windows, not even {path}: speak TLS, or use the SDK")

else:

    def connected(path: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        return connection


class Daemon:
    """A connection: ``call`` sends a request and returns its result."""

    def __init__(self, path: str) -> None:
        self._socket = connected(path)
        self._lines: Iterator[str] = self._socket.makefile(encoding="utf-8")
        self._last_id = 0

    def call(self, method: str, params: dict[str, Any]) -> Any:
        """The result of a method; shows the progress meanwhile."""
        self._last_id += 1
        request = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        for line in self._lines:
            message = json.loads(line)
            if message.get("method") == "presentation.progress":
                print(message["params"]["message"])
            if message.get("id") == self._last_id:
                if "error" in message:
                    raise SystemExit(f"{message['error']['message']} ({message['error']['data']['reason']})")
                return message["result"]
        raise SystemExit("the daemon hung up")


def main() -> None:
    daemon = Daemon(socket_path())
    daemon.call("session.open", {"protocol": [1], "client": {"name": "plain-socket"}, "language": "fr"})
    nonce = secrets.token_urlsafe(24)
    result = daemon.call("presentation.request", {"nonce": nonce, "scopes": ["identity"], "timeout_ms": 60_000})
    claims = result["claims"]
    if claims["nonce"] != nonce:
        raise SystemExit("this answers somebody else's request")
    record = claims["record"]
    holder = record["beneficiaires"][record["porteur"]]
    print(holder["nom_usuel"], holder["prenom"])
    print(f"  token of {len(result['token'])} characters, signature not verified by this program")
    print(f"  proof {claims['proof']['method']}, verified: {claims['proof']['verified']}, origin: {claims['origin']}")
    daemon.call("outbox.ack", {"jti": [claims["jti"]]})


if __name__ == "__main__":
    main()
