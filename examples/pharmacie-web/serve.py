"""Billing page of a pharmacy, with its server: the page reads through the desk, the server verifies.

Beside a daemon whose pages may come (``[web] enabled = true``), or without any hardware::

    python serve.py --simulated

The server makes each nonce and knows the keys of the desk from its enrolment. It believes no token that it has not
verified. Accounts, TLS and a database are left out: a real server has them.
"""

import argparse
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from officine import Officine, Refus

PAGE: Final = Path(__file__).parent / "page"
LIBRARY: Final = files("vitale_reader.web") / "page" / "vitale-reader.js"
TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
LONGEST_BODY: Final = 64 * 1024


def policy(port: int) -> str:
    """The policy of the page: its own files, its own server, and the desk of this machine."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            f"connect-src 'self' ws://127.0.0.1:{port}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


class Handler(BaseHTTPRequestHandler):
    """Requests of the page: its files, and the calls of ``Officine``."""

    server_version = "officine"
    sys_version = ""

    def __init__(self, officine: Officine, *arguments: Any) -> None:
        self.officine = officine
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Gives a file of the page, or the state of the counter."""
        path = urlsplit(self.path).path
        if path == "/api/etat":
            self._answer(self.officine.etat())
            return
        name = path.removeprefix("/") or "index.html"
        known = {file.name: file for file in PAGE.iterdir()} | {LIBRARY.name: LIBRARY}
        if name not in known:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"Page inconnue.")
            return
        self._send(HTTPStatus.OK, TYPES[Path(name).suffix], known[name].read_bytes())

    def do_POST(self) -> None:
        """Answers a call of the page."""
        try:
            self._answer(self._called())
        except Refus as refused:
            self._answer({"titre": refused.titre, "remede": refused.remede}, HTTPStatus.CONFLICT)
        except msgspec.ValidationError:
            self._answer({"titre": "Demande mal formée", "remede": "Rechargez la page."}, HTTPStatus.BAD_REQUEST)

    def _called(self) -> Any:
        # Another site's page may send a form here: it cannot send JSON under our own origin.
        if self.headers["Origin"] != self.officine.site or self.headers.get_content_type() != "application/json":
            raise Refus("Demande d’un autre site", "Ouvrez la page à sa propre adresse.")
        length = self.headers["Content-Length"] or ""
        if not length.isdecimal() or int(length) > LONGEST_BODY:
            raise Refus("Demande trop longue", "Rechargez la page.")
        return self.officine.appel(urlsplit(self.path).path.removeprefix("/api/"), self.rfile.read(int(length)))

    def _answer(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(status, "application/json", msgspec.json.encode(value))

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", policy(self.officine.port_du_poste))
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its base names it so
        """Says nothing: the terminal is the desk's."""


@contextmanager
def serving(port: int, desk_port: int, *, simulated: bool) -> Generator[str]:
    """Serves until the block ends; gives the address of the page."""
    server = ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
    site = f"http://127.0.0.1:{server.server_port}"
    server.RequestHandlerClass = partial(Handler, Officine(site, desk_port, simulated=simulated))
    thread = threading.Thread(target=server.serve_forever, args=(0.1,))
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Une page de facturation de pharmacie, avec son serveur.")
    parser.add_argument("--port", type=int, default=8017, help="port de la page ; 0 : n’importe lequel")
    parser.add_argument("--desk-port", type=int, default=7817, help="port du service, pour les pages")
    parser.add_argument("--simulated", action="store_true", help="avec un service et des lecteurs simulés")
    options = parser.parse_args()
    with ExitStack() as stack:
        comptoir = None
        if options.simulated:
            from comptoir import comptoir_simule  # noqa: PLC0415  the simulators are an extra

            print("Le service et les lecteurs simulés démarrent…", flush=True)
            comptoir = stack.enter_context(comptoir_simule())
            print(f"Dossier du service : {comptoir.home}", flush=True)
        desk_port = options.desk_port if comptoir is None else comptoir.port
        site = stack.enter_context(serving(options.port, desk_port, simulated=options.simulated))
        print(f"La page : {site}/", flush=True)
        if comptoir is None:
            print("Ctrl-C pour arrêter.", flush=True)
            threading.Event().wait()
        else:
            comptoir.cmdloop()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print()
