"""The authority of a station: whom it lets in, beside its own clients, and what it does with a key that is none."""

import datetime as dt
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from vitale_protocol.errors import StoreUnavailable
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
