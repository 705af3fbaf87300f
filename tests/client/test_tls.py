"""The SDK over TLS: nothing is said to anybody but the daemon of the pairing."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import vitale_reader
from tests.client.fake_daemon import FakeDaemon
from tests.client.identities import CLIENT, DAEMON, Identity, server_context
from vitale_protocol.errors import DaemonUnreachable, DaemonUntrusted, LocalMisuse, NotAuthenticated
from vitale_reader import Pairing

STRANGER = Identity("stranger")


def pairing(daemon: FakeDaemon, *, pin: str = DAEMON.sha256, anchored: bool = False) -> Pairing:
    return Pairing(
        client_id="client",
        address=daemon.address,
        certificate=CLIENT.certificate,
        private_key=CLIENT.key,
        daemon_certificate_sha256=pin,
        daemon_certificate=DAEMON.certificate if anchored else None,
    )


@pytest.fixture
def daemon(home: Path) -> Iterator[FakeDaemon]:
    fake = FakeDaemon(home, server_context(home, DAEMON))
    fake.start()
    yield fake
    fake.close()


@pytest.fixture
def stranger(home: Path) -> Iterator[FakeDaemon]:
    fake = FakeDaemon(home, server_context(home, STRANGER))
    fake.start()
    yield fake
    fake.close()


@pytest.mark.parametrize("anchored", [True, False])
def test_a_read(daemon: FakeDaemon, home: Path, anchored: bool) -> None:
    with vitale_reader.connect(home=home, pairing=pairing(daemon, anchored=anchored)) as reader:
        assert reader.read().medium == "vitale-card"


def test_a_pin_may_be_written_as_openssl_prints_it(daemon: FakeDaemon, home: Path) -> None:
    pin = ":".join(DAEMON.sha256[index : index + 2] for index in range(0, 64, 2)).upper()
    with vitale_reader.connect(home=home, pairing=pairing(daemon, pin=pin)) as reader:
        assert reader.ping() > 0


def test_without_an_address_the_home_tells_it(daemon: FakeDaemon, home: Path) -> None:
    paired = msgspec.structs.replace(pairing(daemon), address=None)
    with vitale_reader.connect(home=home, pairing=paired) as reader:
        assert reader.ping() > 0


@pytest.mark.parametrize("anchored", [True, False])
def test_a_stranger_on_the_port_learns_nothing(stranger: FakeDaemon, home: Path, anchored: bool) -> None:
    with (
        pytest.raises(DaemonUntrusted),
        vitale_reader.connect(home=home, pairing=pairing(stranger, anchored=anchored)),
    ):
        pass
    assert stranger.received == b""


def test_the_right_certificate_under_another_pin_is_not_trusted(daemon: FakeDaemon, home: Path) -> None:
    wrong = pairing(daemon, pin=STRANGER.sha256, anchored=True)
    with pytest.raises(DaemonUntrusted), vitale_reader.connect(home=home, pairing=wrong):
        pass
    assert daemon.received == b""


def test_a_client_that_is_not_known_is_told_so(home: Path) -> None:
    fake = FakeDaemon(home, server_context(home, DAEMON, accepts=STRANGER))
    fake.start()
    try:
        told = list[type[BaseException]]()
        for within in (0.2, 10.0, 60.0):
            with (
                pytest.raises((NotAuthenticated, DaemonUnreachable)) as caught,
                vitale_reader.connect(home=home, pairing=pairing(fake), connect_timeout=within),
            ):
                pass
            told.append(caught.type)
            if caught.type is NotAuthenticated:
                break  # else a busy machine had not even got to the refusal
        assert told[-1] is NotAuthenticated
    finally:
        fake.close()


def test_the_alert_that_refuses_a_certificate_is_told_at_once_as_what_it_is(home: Path) -> None:
    context = server_context(home, DAEMON, accepts=STRANGER)

    def refuse() -> None:
        accepted, _ = listening.accept()
        with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as secured:
            with contextlib.suppress(ssl.SSLError):
                secured.do_handshake()
            # It closes once the client has: bytes that nobody read would take the alert back.
            with contextlib.suppress(ConnectionError):
                while socket.socket.recv(secured, 4_096):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=refuse, daemon=True)
        server.start()
        paired = Pairing(
            client_id="client",
            address=f"tls://127.0.0.1:{listening.getsockname()[1]}",
            certificate=CLIENT.certificate,
            private_key=CLIENT.key,
            daemon_certificate_sha256=DAEMON.sha256,
        )
        with (
            pytest.raises(NotAuthenticated, match="certificate"),
            vitale_reader.connect(home=home, pairing=paired, connect_timeout=60),
        ):
            pass
        server.join(60)


@pytest.mark.parametrize("missing", ["certificate", "private_key", "daemon_certificate_sha256"])
def test_a_pairing_without_its_material_is_misuse(daemon: FakeDaemon, home: Path, missing: str) -> None:
    poor = msgspec.structs.replace(pairing(daemon), **{missing: None})
    with pytest.raises(LocalMisuse), vitale_reader.connect(home=home, pairing=poor, address=daemon.address):
        pass


def test_material_that_is_no_key_is_misuse(daemon: FakeDaemon, home: Path) -> None:
    poor = msgspec.structs.replace(pairing(daemon), private_key="no key")
    with pytest.raises(LocalMisuse), vitale_reader.connect(home=home, pairing=poor):
        pass


LOCKED = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    .decode()
)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"certificate": "-----BEGIN CERTIFICAT\u00c9-----"},
        {"private_key": "-----BEGIN CL\u00c9-----"},
        {"daemon_certificate": "-----BEGIN CERTIFICAT\u00c9-----"},
        {"daemon_certificate": "-----BEGIN CERTIFICATE-----\0"},
        {"daemon_certificate": "\ud800"},
        {"private_key": LOCKED},  # nobody is asked for its password at a terminal
    ],
    ids=lambda spoilt: next(iter(spoilt)),
)
def test_material_that_cannot_be_used_is_told_as_that(spoilt: dict[str, str], home: Path, daemon: FakeDaemon) -> None:
    bad = msgspec.structs.replace(pairing(daemon, anchored=True), **spoilt)
    with pytest.raises(LocalMisuse, match="cannot be used"), vitale_reader.connect(home=home, pairing=bad):
        pass


def test_tls_without_a_pairing_is_misuse(home: Path) -> None:
    with pytest.raises(LocalMisuse), vitale_reader.connect(home=home, address="tls://127.0.0.1:1"):
        pass
