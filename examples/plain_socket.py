"""One token with Python's standard library and nothing else, to show what the protocol takes.

Run it as ``python plain_socket.py`` for the daemon's Unix socket. For TLS, run it as ``python plain_socket.py
PAIRING.json`` with the file that ``vitale-reader clients add`` wrote.

The protocol is JSON-RPC 2.0, one message a line. This program does not verify the token's signature. It trusts the
connection: the socket belongs to the same user, or the certificate is the one of the pairing. It says so.
"""

import hashlib
import json
import os
import secrets
import socket
import ssl
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

if sys.platform == "win32":

    def unix_socket() -> socket.socket:
        """Nothing: Python has no Unix sockets there."""
        raise SystemExit("Python has no Unix sockets on Windows: name a pairing file, for TLS.")

else:

    def unix_socket() -> socket.socket:
        """A connection to the socket of this user's daemon, whose ``endpoints.json`` tells where it is."""
        if home := os.environ.get("VITALE_READER_HOME"):
            run = Path(home) / "run"
        elif runtime := os.environ.get("XDG_RUNTIME_DIR"):
            run = Path(runtime) / "vitale-reader"
        else:
            run = Path.home() / ".local/state/vitale-reader/run"
        endpoints = json.loads((run / "endpoints.json").read_text("utf-8"))
        if not endpoints.get("unix"):
            raise SystemExit("The daemon has no Unix socket here: name a pairing file, for TLS.")
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(endpoints["unix"])
        return connection


def tls_socket(pairing: dict[str, str]) -> socket.socket:
    """A connection to the one daemon that the pairing trusts: nothing is said before its certificate was compared."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the pin below says more than any name
    with tempfile.TemporaryDirectory() as folder:  # 0700; Python reads certificates from files alone
        file = Path(folder, "client.pem")
        file.write_text(pairing["certificate"] + pairing["private_key"], "ascii")
        context.load_cert_chain(file)
    address = urlsplit(pairing["address"])
    connection = context.wrap_socket(socket.create_connection((address.hostname or "", address.port or 0)))
    certificate = connection.getpeercert(binary_form=True) or b""
    if hashlib.sha256(certificate).hexdigest() != pairing["daemon_certificate_sha256"].replace(":", "").lower():
        raise SystemExit("This is not the daemon of the pairing: another program holds its port.")
    return connection


class Daemon:
    """A connection: ``call`` sends a request and returns its result."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
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
        raise SystemExit("The daemon hung up.")


def holder(record: dict[str, Any]) -> str:
    """The holder's name; a phone's code names nobody until the apCV service has answered."""
    people, index = record.get("beneficiaires", []), record.get("porteur")
    if index is None or not 0 <= index < len(people):
        return "nobody is named"
    return f"{people[index].get('nom_usuel', '')} {people[index].get('prenom', '')}".strip()


def main() -> None:
    if pairing := sys.argv[1:]:
        connection = tls_socket(json.loads(Path(pairing[0]).read_text("utf-8")))
    else:
        connection = unix_socket()
    daemon = Daemon(connection)
    daemon.call("session.open", {"protocol": [1], "client": {"name": "plain-socket"}, "language": "fr"})
    nonce = secrets.token_urlsafe(24)
    result = daemon.call("presentation.request", {"nonce": nonce, "scopes": ["identity"], "timeout_ms": 60_000})
    claims = result["claims"]
    if claims["nonce"] != nonce:
        raise SystemExit("This answers somebody else's request.")
    print(holder(claims["record"]))
    print(f"  token of {len(result['token'])} characters, signature not verified by this program")
    print(f"  proof {claims['proof']['method']}, verified: {claims['proof']['verified']}, origin: {claims['origin']}")
    daemon.call("outbox.ack", {"jti": [claims["jti"]]})


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        raise SystemExit(f"No daemon answers: start one with `vitale-reader serve`. ({error})") from error
