"""The authority of a station: certificates that hold to RFC 5280, whom it lets in, and a key that is none."""

import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.keystore.certificate_authority import IssuedCertificate
from vitale_reader.daemon.keystore.certificates import Certificates

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def opened(folder: Path, station: str) -> Certificates:
    made = Certificates(folder / station, station=station, host="127.0.0.1", now=NOW)
    made.open()
    return made


@pytest.mark.parametrize("listens", [False, True])
def test_clients_of_another_station_are_let_in_once_it_is_trusted(tmp_path: Path, listens: bool) -> None:
    here, there = opened(tmp_path, "here"), opened(tmp_path, "there")
    context = here.server_context() if listens else None
    for _ in range(2):
        here.trust(there.authority)
    context = context or here.server_context()
    assert 2 == len(context.get_ca_certs())


def test_an_authority_with_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    made = opened(tmp_path, "here")
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "here" / "authority.key").write_bytes(other)
    with pytest.raises(StoreUnavailable, match="P-256"):
        made.issue_client("client")


def put(folder: Path, name: str, issued: IssuedCertificate) -> Path:
    file = folder / f"{name}.pem"
    file.write_text(issued.private_key + issued.certificate)
    return file


def shake_hands(client: ssl.SSLObject, server: ssl.SSLObject) -> None:
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


EPOCH, FAR = dt.datetime(1970, 1, 2, tzinfo=dt.UTC), dt.datetime(2027, 10, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("made_at", [EPOCH, NOW, FAR])
def test_a_wrong_clock_ends_no_pairing(tmp_path: Path, made_at: dt.datetime) -> None:
    """That of a desk whose battery died, or that somebody set: at the making, or ever after."""
    made = Certificates(tmp_path / "tls", station="st", host="127.0.0.1", now=made_at)
    made.open()
    texts = (made.authority, made.daemon_certificate, made.issue_client("c").certificate)
    for certificate in (x509.load_pem_x509_certificate(text.encode()) for text in texts):
        for looked_at in (EPOCH, NOW, FAR, NOW + dt.timedelta(days=3_000)):
            assert certificate.not_valid_before_utc <= looked_at < certificate.not_valid_after_utc


@pytest.mark.parametrize("host", ["127.0.0.1", "desk.example"])
def test_strict_programs_trust_both_ends(host: str, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "tls", station="st", host=host, now=dt.datetime.now(dt.UTC))
    certificates.open()
    daemon_side = certificates.server_context()
    program_side = ssl.create_default_context(cadata=certificates.authority)
    program_side.load_cert_chain(put(tmp_path, "client", certificates.issue_client("c")))
    for context in (daemon_side, program_side):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_daemon, to_program = ssl.MemoryBIO(), ssl.MemoryBIO()
    program = program_side.wrap_bio(to_program, to_daemon, server_hostname=host)
    daemon = daemon_side.wrap_bio(to_daemon, to_program, server_side=True)
    shake_hands(program, daemon)
    assert "TLSv1.3" == program.version()
    assert daemon.getpeercert() != {}
