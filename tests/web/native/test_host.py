"""The native host: pipes of a browser on one side, the daemon's socket on the other."""

import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.posix import posix_only
from vitale_protocol.web.channels import FRAME_BYTES, closing
from vitale_protocol.web.extensions import CHROMIUM_ID
from vitale_reader.home import Home
from vitale_reader.web.native import host
from vitale_reader.web.native.dialling import dial
from vitale_reader.web.native.host import Streams, carry

pytestmark = posix_only()
assert sys.platform != "win32"

PATIENCE = 40.0
SITE = "https://facturation.example.fr"


class Browser:
    """A browser's ends of the pipes."""

    def __init__(self, writes: int, reads: int) -> None:
        self.writes, self.reads = writes, os.fdopen(reads, "rb")

    def say(self, message: object) -> None:
        self.say_bytes(json.dumps(message).encode())

    def say_bytes(self, text: bytes) -> None:
        data = memoryview(struct.pack("=I", len(text)) + text)
        while data:
            data = data[os.write(self.writes, data) :]

    def hear(self) -> Any:
        """The next message; None at the end."""
        length = self.reads.read(4)
        return json.loads(self.reads.read(*struct.unpack("=I", length))) if length else None

    def go(self) -> None:
        """Closes the port."""
        if self.writes >= 0:
            os.close(self.writes)
            self.writes = -1


class Core:
    """The daemon's end of a channel."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self.stream = line.makefile("rb")

    def hear(self) -> bytes | None:
        length = self.stream.read(4)
        return self.stream.read(int.from_bytes(length, "big")) if length else None

    def say(self, frame: bytes) -> None:
        self.line.sendall(len(frame).to_bytes(4, "big") + frame)

    def go(self) -> None:
        self.stream.close()
        self.line.close()


@contextmanager
def hosted(file: Path) -> Generator[Browser]:
    """A host that a browser has started."""
    (host_reads, writes), (reads, host_writes) = os.pipe(), os.pipe()

    def run() -> None:
        carry(
            CHROMIUM_ID, lambda: dial(Home(config=file, state=file, run=file.parent)), Streams(host_reads, host_writes)
        )
        os.close(host_writes)  # as the end of its process

    thread = threading.Thread(target=run)
    thread.start()
    browser = Browser(writes, reads)
    try:
        yield browser
    finally:
        browser.go()
        # The way upwards ends with the process, or with the browser: before its descriptor is another's.
        for each in (thread, *(each for each in threading.enumerate() if each.name == "upwards")):
            each.join(PATIENCE)
            assert not each.is_alive()
        browser.reads.close()
        os.close(host_reads)


@pytest.fixture
def listening(tmp_path: Path) -> Generator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(PATIENCE)
        listener.bind(str(tmp_path / "host.sock"))
        listener.listen()
        yield listener


@contextmanager
def carried(listening: socket.socket) -> Generator[tuple[Browser, Core]]:
    """A page whose channel is open."""
    with hosted(Path(listening.getsockname())) as browser:
        browser.say({"site": SITE})
        core = Core(listening.accept()[0])
        try:
            preamble = json.loads(core.hear() or b"")
            opened = preamble.pop("opened")
            assert opened > 1_700_000_000
            assert {"via": "stdio", "site": SITE, "peer_uid": os.getuid(), "host": CHROMIUM_ID} == preamble
            core.say(b'{"open":true}')
            assert {"open": True} == browser.hear()
            yield browser, core
        finally:
            core.go()


def test_frames_go_both_ways_each_as_the_one_text_of_its_value(listening: socket.socket) -> None:
    with carried(listening) as (browser, core):
        browser.say_bytes(b'{ "n" : 0,\n"c": "\\u00e9" }')
        assert '{"n":0,"c":"é"}'.encode() == core.hear()
        core.say(b'{"n":0,"c":"x"}')
        assert {"n": 0, "c": "x"} == browser.hear()


def test_the_last_frame_says_why(listening: socket.socket) -> None:
    with carried(listening) as (browser, core):
        core.say(closing(4001))
        assert {"close": 4001} == browser.hear()
        assert browser.hear() is None


def test_a_daemon_that_is_gone_is_told(listening: socket.socket) -> None:
    with carried(listening) as (browser, core):
        core.go()
        assert {"close": 1013} == browser.hear()
        assert browser.hear() is None


def test_a_browser_that_is_gone_ends_the_channel(listening: socket.socket) -> None:
    with carried(listening) as (browser, core):
        browser.go()
        assert core.hear() is None


@pytest.mark.parametrize("text", [b"", b"{", b'{"a":1,"a":2}', b'{"a":"\\u0000"}', b"\xef\xbb\xbf{}", b"{}{}", b"\xff"])
def test_what_is_no_json_that_all_read_alike_ends_the_channel(listening: socket.socket, text: bytes) -> None:
    with carried(listening) as (browser, core):
        browser.say_bytes(text)
        assert {"close": 4002} == browser.hear()
        assert core.hear() is None


def test_a_message_of_the_longest_length_passes_and_a_longer_one_is_told(listening: socket.socket) -> None:
    with carried(listening) as (browser, core):
        longest = json.dumps("x" * (FRAME_BYTES - 2)).encode()
        browser.say_bytes(longest)
        assert longest == core.hear()
        core.say(longest)
        assert json.loads(longest) == browser.hear()
        os.write(browser.writes, struct.pack("=I", FRAME_BYTES + 1))
        assert {"close": 1009} == browser.hear()


@pytest.mark.parametrize("first", [{}, {"site": 1}, {"site": SITE, "more": 1}, [SITE], {"jsonrpc": "2.0"}])
def test_nothing_is_dialled_before_a_site_is_named(tmp_path: Path, first: object) -> None:
    with hosted(tmp_path / "host.sock") as browser:
        browser.say(first)
        assert {"close": 4002} == browser.hear()
        assert browser.hear() is None


def test_a_daemon_that_is_not_there_is_told(tmp_path: Path) -> None:
    with hosted(tmp_path / "host.sock") as browser:
        browser.say({"site": SITE})
        assert {"close": 1013} == browser.hear()
        assert browser.hear() is None


@pytest.mark.parametrize("how", ["goes", "refuses", "hangs"])
def test_no_channel_is_said_to_be_open_that_the_daemon_has_not_taken(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(host, "PATIENCE", 0.1)
    with hosted(Path(listening.getsockname())) as browser:
        browser.say({"site": SITE})
        core = Core(listening.accept()[0])
        assert b'"via":"stdio"' in (core.hear() or b"")
        if how == "refuses":
            core.say(closing(1008))
        if how == "goes":
            core.go()
        assert {"close": 1008 if how == "refuses" else 1013} == browser.hear()
        assert browser.hear() is None
        core.go()


def test_a_browser_that_says_nothing_starts_nothing(tmp_path: Path) -> None:
    with hosted(tmp_path / "host.sock") as browser:
        browser.go()
        assert browser.hear() is None
