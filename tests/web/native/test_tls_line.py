"""A connection under TLS for two threads: all that is said comes whole, and a stranger is told from the daemon."""

import contextlib
import datetime as dt
import os
import socket
import ssl
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vitale_reader.daemon.keystore.certificates import Certificates
from vitale_reader.pinned_tls import pinned_context
from vitale_reader.web.native.tls_line import TlsLine

PATIENCE = 40.0
MUCH = 3_000_000


def station(folder: Path) -> Certificates:
    made = Certificates(folder, station=folder.name, host="127.0.0.1", now=dt.datetime.now(dt.UTC))
    made.open()
    return made


@contextmanager
def daemon(certificates: Certificates) -> Generator[tuple[str, int]]:
    """A daemon that gives back what it is sent."""
    context = certificates.server_context()

    def serve() -> None:
        # A client that does not trust this one is gone in the middle.
        with contextlib.suppress(OSError), listener.accept()[0] as accepted:
            accepted.settimeout(PATIENCE)
            with context.wrap_socket(accepted, server_side=True) as line:
                while data := line.recv(65_536):
                    line.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def dialled(address: tuple[str, int], own: Certificates, pinned: Certificates) -> TlsLine:
    issued = own.issue_client("native-hosts")
    context = pinned_context(issued.certificate, issued.private_key, pinned.daemon_certificate)
    connection = socket.create_connection(address, timeout=PATIENCE)
    try:
        return TlsLine(connection, context)
    except BaseException:
        connection.close()
        raise


def test_what_goes_both_ways_at_once_comes_whole(tmp_path: Path) -> None:
    certificates = station(tmp_path / "station")
    sent, came = os.urandom(MUCH), bytearray()
    with daemon(certificates) as address, dialled(address, certificates, certificates) as line:

        def send() -> None:
            for at in range(0, MUCH, 70_001):
                line.sendall(sent[at : at + 70_001])

        sending = threading.Thread(target=send)
        sending.start()
        while len(came) < MUCH and (data := line.recv(65_536)):
            came += data
        sending.join(PATIENCE)
        line.shutdown(socket.SHUT_WR)
        assert b"" == line.recv(65_536)
    assert sent == bytes(came)


class Held(socket.socket):
    """A connection whose other end takes nothing for a while."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__()
        self.settimeout(PATIENCE)
        self.connect(address)
        self.free, self.blocked = threading.Event(), threading.Event()
        self.free.set()

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        if not self.free.is_set():
            self.blocked.set()
            assert self.free.wait(PATIENCE)
        super().sendall(data, flags)


def test_what_comes_is_read_while_what_is_sent_is_not_taken(tmp_path: Path) -> None:
    certificates = station(tmp_path / "station")
    issued = certificates.issue_client("native-hosts")
    context = pinned_context(issued.certificate, issued.private_key, certificates.daemon_certificate)
    with daemon(certificates) as address, ThreadPoolExecutor(2) as threads, Held(address) as connection:
        line = TlsLine(connection, context)
        line.sendall(b"before")
        connection.free.clear()
        try:
            sending = threads.submit(line.sendall, b"behind")
            assert connection.blocked.wait(PATIENCE)
            assert b"before" == threads.submit(line.recv, 65_536).result(PATIENCE)
        finally:
            connection.free.set()
        sending.result(PATIENCE)
        assert b"behind" == line.recv(65_536)
        line.shutdown(socket.SHUT_WR)
        assert b"" == line.recv(65_536)


def test_a_stranger_in_the_daemons_place_is_told_nothing(tmp_path: Path) -> None:
    own, other = station(tmp_path / "station"), station(tmp_path / "stranger")
    with daemon(other) as address, pytest.raises(ssl.SSLCertVerificationError):
        dialled(address, own, own)


def test_a_program_that_speaks_no_tls_is_none(tmp_path: Path) -> None:
    own = station(tmp_path / "station")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=lambda: answer(listener))
        answering.start()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            dialled(listener.getsockname(), own, own)
        answering.join(PATIENCE)


def answer(listener: socket.socket) -> None:
    with listener.accept()[0] as accepted:
        accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        accepted.recv(65_536)
