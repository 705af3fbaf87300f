"""Pairing files, addresses, and where a daemon is looked for."""

import errno
import os
from pathlib import Path

import msgspec
import pytest

from vitale_protocol.errors import DaemonUnreachable, LocalMisuse
from vitale_protocol.methods import ClientAdded
from vitale_reader.client import pairing
from vitale_reader.client.address import TlsAddress, UnixAddress, Way, check_pin, parse, resolve
from vitale_reader.client.pairing import Pairing
from vitale_reader.daemon.keystore.private_files import open_to_others
from vitale_reader.home import Endpoints, Home, TlsEndpoint

PAIRING = Pairing(client_id="client-1", address="tls://127.0.0.1:7816", private_key="SECRET", credential="SECRET")


def test_a_pairing_file_comes_back_and_is_for_its_user_only(tmp_path: Path) -> None:
    file = tmp_path / "pairing.json"
    PAIRING.save(file)
    assert Pairing.load(file) == PAIRING
    assert not open_to_others(file)


def test_a_byte_order_mark_of_an_editor_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "pairing.json"
    PAIRING.save(file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert Pairing.load(file) == PAIRING


def test_a_pairing_file_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "pairing.json"
    PAIRING.save(file)
    with pytest.raises(LocalMisuse):
        PAIRING.save(file)


def test_half_a_pairing_file_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = tmp_path / "pairing.json"
    with monkeypatch.context() as patch:
        patch.setattr(pairing, "keep_to_owner", full)
        with pytest.raises(LocalMisuse) as caught:
            PAIRING.save(file)
    assert os.strerror(errno.ENOSPC) in str(caught.value)
    assert "SECRET" not in str(caught.value)
    PAIRING.save(file)
    assert Pairing.load(file) == PAIRING


@pytest.mark.parametrize("kind", [str, Path])
def test_a_home_that_is_named_comes_before_the_one_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[str | Path]
) -> None:
    monkeypatch.setenv("VITALE_READER_HOME", str(tmp_path / "environment"))
    assert Home.under(tmp_path / "named") == Home.chosen(kind(tmp_path / "named"))
    assert Home.under(tmp_path / "environment") == Home.chosen(None)


def test_a_pairing_does_not_show_its_secrets() -> None:
    assert "SECRET" not in repr(PAIRING)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"client_id": 7, "private_key": "SECRET"}',
        b"\xff\xfe",
        b'{"client_id":"SECRET\xff"}',
        b"[" * 100_000,
    ],
    ids=range(7),
)
def test_what_is_no_pairing_file_is_misuse_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "pairing.json"
    file.write_bytes(content)
    with pytest.raises(LocalMisuse) as caught:
        Pairing.load(file)
    assert "SECRET" not in str(caught.value)


def test_no_pairing_file_is_misuse(tmp_path: Path) -> None:
    with pytest.raises(LocalMisuse):
        Pairing.load(tmp_path / "none.json")


def test_a_pairing_holds_what_the_daemon_answered() -> None:
    added = ClientAdded(client_id="c", certificate="C", private_key="K", daemon_certificate_sha256="00", credential="S")
    made = Pairing.of(added, address="tls://127.0.0.1:1")
    assert made == Pairing(
        client_id="c",
        address="tls://127.0.0.1:1",
        certificate="C",
        private_key="K",
        daemon_certificate_sha256="00",
        credential="S",
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///run/x/daemon.sock", UnixAddress("/run/x/daemon.sock")),
        ("tls://127.0.0.1:7816", TlsAddress("127.0.0.1", 7816)),
        ("tls://[::1]:7816", TlsAddress("::1", 7816)),
    ],
)
def test_addresses(text: str, address: UnixAddress | TlsAddress) -> None:
    assert parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:7816",
        "tls://",
        "tls://host",
        "tls://host:99999",
        "tls://h:1/path",
        "http://h:1",
        "unix://host/x",
        "tls://[",
    ],
)
def test_what_is_no_address_is_misuse(text: str) -> None:
    with pytest.raises(LocalMisuse):
        parse(text)


def publish(home: Home, endpoints: Endpoints) -> None:
    home.run.mkdir(parents=True)
    home.endpoints_file.write_bytes(msgspec.json.encode(endpoints))


@pytest.mark.posix
def test_the_unix_socket_comes_first(tmp_path: Path) -> None:
    home = Home.under(tmp_path)
    tls = TlsEndpoint(host="127.0.0.1", port=5, sha256="00")
    publish(home, Endpoints(pid=1, version="0", unix="/x/daemon.sock", tls=tls))
    assert resolve(home, None, None) == Way(UnixAddress("/x/daemon.sock"))
    other = Pairing(client_id="c", certificate="C")
    assert resolve(home, None, other) == Way(TlsAddress("127.0.0.1", 5), other)
    assert resolve(home, None, PAIRING) == Way(TlsAddress("127.0.0.1", 7816), PAIRING)
    assert resolve(home, "unix:///y", PAIRING) == Way(UnixAddress("/y"), PAIRING)


def test_without_a_unix_socket_the_owner_comes_by_the_owners_pairing(tmp_path: Path) -> None:
    home, file = Home.under(tmp_path), tmp_path / "owner.pairing.json"
    tls = TlsEndpoint(host="127.0.0.1", port=5, sha256="00")
    publish(home, Endpoints(pid=1, version="0", tls=tls, owner=str(file)))
    with pytest.raises(DaemonUnreachable) as refused:
        resolve(home, None, None)
    assert (refused.value.variant, refused.value.data) == ("other_user", {"file": str(file)})
    owner = Pairing(client_id="local", certificate="C", private_key="K", daemon_certificate_sha256="00")
    owner.save(file)
    assert resolve(home, None, None) == Way(TlsAddress("127.0.0.1", 5), owner)
    assert resolve(home, None, PAIRING) == Way(TlsAddress("127.0.0.1", 7816), PAIRING)


def test_a_daemon_without_a_way_in_is_unreachable(tmp_path: Path) -> None:
    home = Home.under(tmp_path)
    with pytest.raises(DaemonUnreachable):
        resolve(home, None, None)
    publish(home, Endpoints(pid=1, version="0"))
    with pytest.raises(DaemonUnreachable):
        resolve(home, None, None)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version":"\xff"}', b"[" * 100_000], ids=range(4))
def test_endpoints_that_cannot_be_read_are_of_no_daemon(tmp_path: Path, content: bytes) -> None:
    home = Home.under(tmp_path)
    home.run.mkdir(parents=True)
    home.endpoints_file.write_bytes(content)
    with pytest.raises(DaemonUnreachable):
        resolve(home, None, None)


@pytest.mark.parametrize("pin", [None, "", "00" * 32, "é"])
def test_a_pin_that_does_not_fit(pin: str | None) -> None:
    from vitale_protocol.errors import DaemonUntrusted

    with pytest.raises(DaemonUntrusted):
        check_pin(Pairing(client_id="c", daemon_certificate_sha256=pin), b"certificate")
