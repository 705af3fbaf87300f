"""A port that is taken is told as that, with who has it where the platform tells."""

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from vitale_protocol.catalogue import text
from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.transports.port_holder import cannot_listen, holder
from vitale_reader.home import Home

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = "   0: 0100007F:1E88 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {uid} 0 4242 1 0000 100 0 0 10 0\n"
PORT = 0x1E88
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which Linux has")


def start(home: Home, port: int) -> ConfigurationInvalid:
    async def main() -> None:
        async with running(home, parse(f"[drivers]\nenabled = []\n[tls]\nport = {port}")):
            raise AssertionError("the port is taken")

    with pytest.raises(ConfigurationInvalid) as told:
        asyncio.run(main())
    return told.value


def test_a_daemon_whose_port_is_taken_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = start(Home.under(tmp_path), port)

    assert ("port_in_use", "tls.port", port) == (told.variant, told.data["path"], told.data["port"])
    assert {"Port déjà pris", "Port in use"} == {
        text(told.reason, "fr", told.variant).title,
        text(told.reason, "en", told.variant).title,
    }
    if sys.platform == "linux":
        assert f"process {os.getpid()} " in told.detail
        assert str(told.data["holder"]) in told.detail


def test_a_refusal_is_in_the_words_of_the_error_and_not_of_its_number() -> None:
    # Windows' own number: ``os.strerror`` knows nothing of it.
    error = OSError(10048, "error while attempting to bind on address ('127.0.0.1', 7816)")
    assert (
        "attempting to bind"
        in cannot_listen("127.0.0.1:7816", 7816, error, setting="tls.port", in_use="port_in_use").detail
    )


def test_an_address_that_cannot_be_used_otherwise_is_another_matter(tmp_path: Path) -> None:
    async def main() -> None:
        config = parse('[drivers]\nenabled = []\n[tls]\nport = 0\nlan = true\nhost = "192.0.2.1"')  # RFC 5737: nobody's
        async with running(Home.under(tmp_path), config):
            raise AssertionError("there is no such address here")

    with pytest.raises(ConfigurationInvalid) as told:
        asyncio.run(main())
    assert "address_not_here" == told.value.variant


@on_linux
def test_a_port_that_nobody_has(tmp_path: Path) -> None:
    with socket.socket() as silent:  # which keeps the port from others, and does not listen
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        assert "" == holder(port)
        assert "" == holder(port, tmp_path)


@on_linux
def test_a_process_of_another_user_is_told_by_its_user(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(HEAD + ROW.format(uid=0))
    assert "a process of user root" == holder(PORT, tmp_path)
    (tmp_path / "net" / "tcp").write_text(HEAD + ROW.format(uid=54_321))
    assert "a process of user 54321" == holder(PORT, tmp_path)
    assert "" == holder(PORT + 1, tmp_path)


@on_linux
def test_a_process_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp6").write_text(HEAD + ROW.format(uid=0))
    (tmp_path / "77" / "fd").mkdir(parents=True)
    (tmp_path / "77" / "fd" / "9").symlink_to("socket:[4242]")
    (tmp_path / "77" / "comm").write_text("vitale-reader\n")
    assert "process 77 (vitale-reader)" == holder(PORT, tmp_path)
