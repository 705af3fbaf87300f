"""The simulated apCV service over HTTP: the envelopes of ``soap.py``, the answers of ``contexts.py``, and bad manners.

It listens on the loopback only, takes ``POST`` at any path, and needs no TLS. ``GET …/phones/ID/receipts`` hands the
receipts of a phone over (``receipts.py``). How it behaves is set by the scenario, or
by ``behave`` while it runs:

====================  =============================================================================
``normal``            answers
``slow``              answers after ``delay`` seconds of the scenario
``down``              503 of a proxy, with a page in HTML
``closed``            hangs up without an answer
``silent``            takes the request and never answers
``garbage``           200 with bytes that are not XML
``html``              200 with a page in HTML, as captive portals have it
``truncated``         the first half of an answer, with the length of the whole
``billion-laughs``    an answer with entities that expand to gigabytes
``external-entity``   an answer with an entity that is a file of the reader's machine
``huge``              an answer of 100 MB
``empty-context``     a context without identifiant and token
``past-context``      a context that has ended already
``unidentified``      refuses whoever asks, as where the assertion of the professional is not accepted
``refusing``          refuses with a code that nobody has published
====================  =============================================================================

``down``, ``closed``, ``garbage`` and ``html`` stand for something in front of the service. They use up no string, nor
do ``unidentified`` and ``refusing``. In all others the service has done its part, whatever became of its answer.
"""

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

from vitale_firmware_sim.apcv_service import receipts, soap
from vitale_firmware_sim.apcv_service.contexts import ServiceContext, ServiceContexts, ServiceRefusal
from vitale_firmware_sim.phone.application import Receipt
from vitale_firmware_sim.scenario import Behaviour, Scenario

__all__ = ["ApcvService"]

_CONTENT_TYPE: Final = "application/soap+xml; charset=utf-8"
_MAX_REQUEST: Final = 1024 * 1024
_HUGE: Final = 100 * 1000 * 1000
_PIECE: Final = b"<a>0123456789abcdef</a>" * 4096
# A client that connects and says nothing does not keep its thread for ever.
_PATIENCE: Final = 30.0

_PAGE: Final = b"<!DOCTYPE html><html lang=fr><title>Service indisponible</title><p>Revenez plus tard.</p></html>"
_LAUGHS: Final = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY l0 "lol">'
    + b"".join(b'<!ENTITY l%d "%s">' % (one, b"&l%d;" % (one - 1) * 10) for one in range(1, 11))
    + b']><env:Envelope xmlns:env="%b"><env:Body>&l10;</env:Body></env:Envelope>' % soap.SOAP.encode()
)
_EXTERNAL: Final = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY f SYSTEM "file:///etc/hostname">]>'
    b'<env:Envelope xmlns:env="%b"><env:Body>&f;</env:Body></env:Envelope>' % soap.SOAP.encode()
)


class ApcvService:
    """The service of a scenario, in threads of this process: ``with ApcvService(load_scenario()) as service: …``.

    Args:
        scenario: whose phones it knows.
        port: 0 for any that is free.
        clock: seconds since the epoch.
        token: makes identifiers and tokens; nobody is to guess them.

    Attributes:
        contexts: what it knows.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        port: int = 0,
        clock: Callable[[], float] = time.time,
        token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self.contexts = ServiceContexts(scenario, token)
        self._settings = scenario.service
        self._behaviour: Behaviour = scenario.service.behaviour
        self._clock = clock
        self._port = port
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._actions: list[str] = []
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Starts listening.

        Raises:
            OSError: the port is taken.
        """
        self._ended.clear()
        self._server = _Server(self, self._port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="apcv-service")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
        self._server = None

    @property
    def url(self) -> str:
        """URL at which the service listens."""
        if self._server is None:
            raise RuntimeError("the service is not running")
        return f"http://127.0.0.1:{self._server.server_port}/apcv"

    @property
    def actions(self) -> tuple[str, ...]:
        """The names of the well-formed requests so far, without the common part of their URN, in order."""
        with self._changed:
            return tuple(self._actions)

    def behave(self, behaviour: Behaviour) -> None:
        """Changes its manners, for requests to come."""
        self._behaviour = behaviour

    def wait_for_actions(self, count: int, timeout: float) -> bool:
        """Waits until so many well-formed requests came, for so many seconds; whether they did."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._actions) >= count, timeout)

    def receipts(self, phone: str) -> bytes:
        """The receipts of a phone in JSON, handed over once."""
        return receipts.written(self.contexts.receipts(phone, self._clock()))

    # ── for the handler ──────────────────────────────────────────────────────────────────────────────────────────

    def exchange(self, handler: "_Handler", body: bytes) -> None:
        """Answers one request as the behaviour is."""
        behaviour = self._behaviour
        status, answer = self._answered(body, behaviour)
        match behaviour:
            case "closed":
                handler.hang_up()
            case "silent":
                self._ended.wait()
                handler.hang_up()
            case "slow":
                self._ended.wait(self._settings.delay)
                handler.give(status, _CONTENT_TYPE, answer)
            case "truncated":
                handler.give(status, _CONTENT_TYPE, answer[: len(answer) // 2], length=len(answer))
            case "down":
                handler.give(503, "text/html", _PAGE)
            case "html":
                handler.give(200, "text/html", _PAGE)
            case "garbage":
                handler.give(200, _CONTENT_TYPE, bytes(range(256)) * 8)
            case "billion-laughs":
                handler.give(200, _CONTENT_TYPE, _LAUGHS)
            case "external-entity":
                handler.give(200, _CONTENT_TYPE, _EXTERNAL)
            case "huge":
                handler.give_pieces(_huge(), self._ended)
            case "normal" | "empty-context" | "past-context" | "unidentified" | "refusing":
                handler.give(status, _CONTENT_TYPE, answer)

    def _answered(self, body: bytes, behaviour: Behaviour) -> tuple[int, bytes]:
        message_id = ""
        try:
            request = soap.parse_request(body)
            message_id = request.message_id
            self._note(request)
            if behaviour in {"down", "closed", "html", "garbage"}:
                # The request never came to the service: what is in front of it answered.
                return 503, b""
            if behaviour == "unidentified":
                raise ServiceRefusal("ASSERTION_MISSING")
            if behaviour == "refusing":
                raise ServiceRefusal("UNPUBLISHED")
            if request.action == soap.SIGN:
                return 200, soap.signed(request, self._sign(request))
            return 200, soap.answer(request, self._spoilt(self._asked(request), behaviour))
        except ServiceRefusal as refusal:
            return 400, soap.fault(refusal.code, message_id)

    def _asked(self, request: soap.SoapRequest) -> ServiceContext | None:
        now = self._clock()
        if request.action == soap.AUTHENTICATE:
            return self.contexts.authenticate(request.value.encode(), now)
        if request.action == soap.RESTORE:
            return self.contexts.restore(request.value, now)
        self.contexts.release(request.value, now)
        return None

    def _sign(self, request: soap.SoapRequest) -> str:
        now = self._clock()
        return self.contexts.sign(request.value, Receipt(now, request.professional, request.cents), now)

    def _spoilt(self, context: ServiceContext | None, behaviour: Behaviour) -> ServiceContext | None:
        if context is not None and behaviour == "empty-context":
            return replace(context, identifiant="", token="")
        if context is not None and behaviour == "past-context":
            return replace(context, ends=self._clock() - 3600)
        return context

    def _note(self, request: soap.SoapRequest) -> None:
        with self._changed:
            self._actions.append(request.action.rpartition(":")[2])
            self._changed.notify_all()


def _huge() -> Iterator[bytes]:
    yield b'<?xml version="1.0"?><env:Envelope xmlns:env="%b"><env:Body>' % soap.SOAP.encode()
    yield from itertools.repeat(_PIECE, _HUGE // len(_PIECE))
    yield b"</env:Body></env:Envelope>"


class _Server(ThreadingHTTPServer):
    # The threads of requests are waited for at the end: none outlives the service.
    daemon_threads = False
    block_on_close = True

    def __init__(self, service: ApcvService, port: int) -> None:
        self.service = service
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "vitale-reader-sim"
    sys_version = ""
    timeout = _PATIENCE

    def do_GET(self) -> None:
        phone = receipts.phone_asked_for(self.path)
        if not phone or not isinstance(self.server, _Server):
            self.give(404, "text/plain", b"")
            return
        self.give(200, "application/json", self.server.service.receipts(phone))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MAX_REQUEST:
            self.close_connection = True
            self.give(413, "text/plain", b"")
            return
        if not isinstance(self.server, _Server):
            raise TypeError("this handler is that of the simulated service")
        try:
            self.server.service.exchange(self, self.rfile.read(int(length)))
        except OSError:
            # The client went away.
            self.close_connection = True

    def give(self, status: int, content_type: str, body: bytes, *, length: int | None = None) -> None:
        """Answers; with a length that is not the body's, the connection ends behind it."""
        self.close_connection = self.close_connection or length is not None
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def give_pieces(self, pieces: Iterator[bytes], ended: threading.Event) -> None:
        """Answers without saying how long, until the end, the client's or the service's."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", _CONTENT_TYPE)
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in pieces:
            if ended.is_set():
                return
            self.wfile.write(piece)

    def hang_up(self) -> None:
        """Ends the connection without an answer."""
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that http.server has
        """Says nothing: what came is somebody's."""
