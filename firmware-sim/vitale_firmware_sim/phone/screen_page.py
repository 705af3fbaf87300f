"""A simulated phone's screen as a web page, to be held before a real camera or imager.

It shows a code that renews itself. It is served on the loopback or, if asked for, at one address of a local network.
There it stands behind a path that nobody guesses. The page has no other sources than this program, and no data of
anybody but the scenario's invented name.
"""

import ipaddress
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from types import TracebackType
from typing import Any, Final, Literal, Self

import msgspec
import segno

from vitale_firmware_sim.phone.application import QR_RENEWS_EVERY, QrCode
from vitale_firmware_sim.phone.card import PhoneRefusal
from vitale_firmware_sim.phone.user import PhoneUser
from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["PhoneScreen", "ScreenState", "lan_address", "screen_code"]

_PAGES: Final = resources.files("vitale_firmware_sim") / "pages"
_FILES: Final[Mapping[str, str]] = {
    "phone.html": "text/html; charset=utf-8",
    "phone.css": "text/css; charset=utf-8",
    "phone.js": "text/javascript; charset=utf-8",
    "phone.svg": "image/svg+xml",
}
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_QUIET: Final = 4  # ISO/IEC 18004 §9.1
_PATIENCE: Final = 30.0
# Connections at a time; each has a thread, and a browser makes six.
_MOST: Final = 32


def screen_code(phone_user: PhoneUser, now: float) -> QrCode:
    """The code on a phone's screen; its hand unlocks it where it has locked itself.

    Args:
        phone_user: holds the phone.
        now: seconds since the epoch, as the hand's clock has it.

    Raises:
        PhoneRefusal: the phone is not active, there is nobody to be shown, or a delegation has ended.
    """
    if phone_user.phone.state(now) != "unlocked":
        phone_user.unlock()
    return phone_user.phone.qr(now)


class ScreenState(msgspec.Struct, frozen=True):
    """State of the screen, as the page receives it.

    Attributes:
        screen: ``shown`` or ``locked``.
        name: whose card it is.
        number: of the code; another code has another number.
        modules: of its picture, from edge to edge.
        left: seconds until the next one.
        lasts: for how many seconds each is shown.
    """

    screen: Literal["shown", "locked"]
    name: str = ""
    number: int = 0
    modules: int = 0
    left: float = 0.0
    lasts: float = QR_RENEWS_EVERY


class PhoneScreen:
    """Serves the page: ``with PhoneScreen(hand, name, …) as screen: open(screen.url)``.

    Args:
        phone_user: holds the phone, and unlocks it when it has locked itself.
        name: whose card is shown.
        clock: seconds since the epoch, as the hand's.
        locked: whether the phone is left locked.
        language: of the page, until somebody changes it there.
        address: the address to listen at.
        port: 0 for any that is free.
        secret: the path before the page; empty on the loopback, not to be guessed elsewhere.
    """

    def __init__(
        self,
        phone_user: PhoneUser,
        name: str,
        *,
        clock: Callable[[], float],
        locked: bool = False,
        language: str = "fr",
        address: str = "127.0.0.1",
        port: int = 0,
        secret: str = "",
    ) -> None:
        self._phone_user = phone_user
        self._name = name
        self._clock = clock
        self._locked = locked
        self._language = language
        self._address = address
        self._port = port
        self._secret = secret
        # The phone has one screen, whoever looks at it.
        self._lock = threading.Lock()
        self._code = QrCode(b"", 0.0)
        self._drawn = segno.make("-")
        self._number = 0
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        handler = partial(_Handler, self)
        kind = _Server6 if ":" in self._address else _Server
        self._server = kind((self._address, self._port), handler)
        self._port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="screen", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            server.server_close()
            self._thread.join()

    @property
    def url(self) -> str:
        """URL of the page."""
        return f"http://{self._hosts[0]}{self._base}"

    def showing(self) -> ScreenState:
        """Returns the state of the screen; a phone that refuses, because a delegation has ended, is shown locked."""
        if self._locked:
            return ScreenState("locked")
        with self._lock:
            now = self._clock()
            try:
                code = screen_code(self._phone_user, now)
            except PhoneRefusal:
                return ScreenState("locked")
            if code != self._code:
                self._code, self._number = code, self._number + 1
                self._drawn = segno.make(code.string, error="m", micro=False, boost_error=False)
            wide = int(self._drawn.symbol_size(border=_QUIET)[0])
            return ScreenState("shown", self._name, self._number, wide, round(code.renews_at - now, 3))

    def code(self, number: int) -> bytes | None:
        """The picture of the code of that number, as SVG; None where it is not shown any more."""
        with self._lock:
            if self._locked or number != self._number or not number:
                return None
            drawn = self._drawn.svg_inline(border=_QUIET, omitsize=True, dark="#000", light="#fff")
            # As a picture of its own, not in a page, it has to say what it is.
            return drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).encode()

    # ── for the handler ──────────────────────────────────────────────────────────────────────────────────────────

    def answer(self, host: str, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, type and content for a path."""
        if host not in self._hosts:
            # A name of somebody else that leads here: their page is not to read this one.
            return HTTPStatus.MISDIRECTED_REQUEST, "text/plain", b"wrong host\n"
        name = path.removeprefix(self._base) if path.startswith(self._base) else "elsewhere"
        if name == "":
            page = (_PAGES / "phone.html").read_text("utf-8").replace('lang="fr"', f'lang="{self._language}"')
            return HTTPStatus.OK, _FILES["phone.html"], page.encode()
        if name == "state.json":
            return HTTPStatus.OK, "application/json", msgspec.json.encode(self.showing())
        if name in _FILES and name != "phone.html":
            return HTTPStatus.OK, _FILES[name], (_PAGES / name).read_bytes()
        picture = self.code(_number(name))
        if picture is not None:
            return HTTPStatus.OK, "image/svg+xml", picture
        return HTTPStatus.NOT_FOUND, "text/plain", b"not found\n"

    @property
    def _base(self) -> str:
        return f"/{self._secret}/" if self._secret else "/"

    @property
    def _hosts(self) -> tuple[str, ...]:
        literal = f"[{self._address}]" if ":" in self._address else self._address
        own = f"{literal}:{self._port}"
        return (own, f"localhost:{self._port}") if ipaddress.ip_address(self._address).is_loopback else (own,)


def lan_address(text: str) -> str:
    """An address of a local network, checked.

    Raises:
        ConfigurationInvalid: it is a name, all addresses at once, or an address of the whole world.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise ConfigurationInvalid("--lan is an address, not a name", data={"path": "--lan"}) from error
    if address.is_unspecified or not address.is_private:
        raise ConfigurationInvalid("--lan is one address of a local network", data={"path": "--lan"})
    return str(address)


def _number(name: str) -> int:
    matched = re.fullmatch(r"code-([0-9]{1,9})\.svg", name)
    return int(matched[1]) if matched else 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Connections that come at once and find no room in the queue are tried again by the system after a second.
    request_queue_size = 4 * _MOST

    def __init__(self, *of_the_parent: Any) -> None:
        self._free = threading.BoundedSemaphore(_MOST)
        super().__init__(*of_the_parent)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """True if there is room for a connection more; it is closed otherwise."""
        return self._free.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answers a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves in the middle of an answer is nothing to tell."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "vitale-reader-sim"
    sys_version = ""
    timeout = _PATIENCE

    def __init__(self, screen: PhoneScreen, *of_the_server: Any) -> None:
        self._screen = screen
        super().__init__(*of_the_server)

    def do_HEAD(self) -> None:
        """The head of an answer."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """Answers with the page, the state or the picture."""
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        status, kind, content = self._screen.answer(self.headers.get("Host", ""), self.path)
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of the parent
        """Logs nothing: the path may be the secret of the screen."""
