"""The SDK against a daemon process, with the driver `simulated-card`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import vitale_reader
from tests.client.connections import PATIENCE, not_again, patient
from vitale_protocol.errors import Cancelled, NotAuthorised, PresentationTimeout, TokenInvalid, VitaleError
from vitale_reader import Connection, Pairing
from vitale_reader.cli.demo.environment import DemoEnvironment, demo_environment
from vitale_reader.client import pending_requests
from vitale_reader.client.address import TlsAddress


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon on a busy machine may answer a request late."""
    monkeypatch.setattr(pending_requests, "GRACE", PATIENCE)


@pytest.fixture(scope="module")
def station() -> Iterator[DemoEnvironment]:
    with demo_environment(simulated_driver=True) as running:
        yield running


@pytest.fixture
def card(station: DemoEnvironment) -> Iterator[DemoEnvironment]:
    assert station.slot is not None
    station.slot.insert("famille")
    yield station
    station.slot.remove()


def pair(station: DemoEnvironment, *scopes: vitale_reader.Scope) -> Pairing:
    assert station.endpoints.tls is not None
    with patient(station.home) as admin:
        added = admin.add_client("essai", scopes=scopes, transports=["tls"])
    return Pairing.of(added, address=str(TlsAddress(station.endpoints.tls.host, station.endpoints.tls.port)))


@pytest.mark.posix("its card is moved through a Unix socket")
def test_unix(card: DemoEnvironment) -> None:
    with patient(card.home) as reader:
        found = reader.read(scopes=["identity", "nir", "dependants"], purpose=["fse", "dp"])
        assert found.holder is not None
        assert (found.holder.nom_usuel, found.origin) == ("LEFÈVRE-ESSAI", "simulated")
        assert len(found.beneficiaries) == 5
        assert found.claims.purpose == ("fse", "dp")
    with patient(card.home) as reader:
        assert reader.pending() == ()


@pytest.mark.posix("its card is moved through a Unix socket")
def test_tls_with_a_pairing_file(card: DemoEnvironment, tmp_path: Path) -> None:
    file = tmp_path / "pairing.json"
    paired = pair(card, "identity")
    paired.save(file)
    with vitale_reader.connect(pairing=file, connect_timeout=PATIENCE, call_timeout=PATIENCE) as reader:
        found = reader.read()
        assert found.claims.aud == paired.client_id
        assert len(found.beneficiaries) == 1
        with pytest.raises(NotAuthorised):
            reader.read(scopes=["nir"])
        with pytest.raises(NotAuthorised):
            reader.clients()


def test_a_revoked_client_is_refused(station: DemoEnvironment) -> None:
    paired = pair(station, "identity")
    with Connection(not_again(station.home, pairing=paired)) as reader:
        reader.ping()
        with patient(station.home) as admin:
            assert admin.revoke_client(paired.client_id).revoked
            assert any(client.revoked_at for client in admin.clients())
        with pytest.raises(VitaleError):
            reader.ping()
    with pytest.raises(vitale_reader.errors.NotAuthenticated), vitale_reader.connect(pairing=paired):
        pass


@pytest.mark.posix("its card is moved through a Unix socket")
def test_nothing_presented(station: DemoEnvironment) -> None:
    with patient(station.home) as reader, pytest.raises(PresentationTimeout):
        reader.read(timeout=1)


@pytest.mark.posix("its card is moved through a Unix socket")
def test_one_read_is_given_up_and_the_other_gets_the_card(station: DemoEnvironment) -> None:
    assert station.slot is not None
    with patient(station.home) as reader:
        there = next(reader.watch()).reader
        with reader.reading(readers=there.id) as first, reader.reading(readers=there.id, scopes="nir") as second:
            first.cancel()
            with pytest.raises(Cancelled):
                first.result()
            # Before the card is there the daemon is to know of it: a first call may overtake it, a second one not.
            for _ in range(2):
                reader.ping()
            station.slot.insert("adulte")
            assert second.result().claims.scopes == ("nir",)
        with pytest.raises(PresentationTimeout) as left:
            reader.wait_until_empty(there.id, timeout=0.1)
        assert left.value.variant == "left"
        station.slot.remove()
        reader.wait_until_empty(there.id, timeout=PATIENCE)


@pytest.mark.posix("its card is moved through a Unix socket")
def test_rotation_of_the_keys_is_followed(card: DemoEnvironment) -> None:
    with patient(card.home) as reader:
        before = reader.keys()
        old = reader.read()
        kid = reader.rotate_keys()
        new = reader.read()
        assert kid in {key["kid"] for key in reader.keys()["keys"]}
    with pytest.raises(TokenInvalid):
        vitale_reader.verify(new.token, jwks=before, audience="local", nonce=new.claims.nonce)
    vitale_reader.verify(old.token, jwks=before, audience="local", nonce=old.claims.nonce)


@pytest.mark.posix("its card is moved through a Unix socket")
def test_the_card_is_seen_to_come_and_go(station: DemoEnvironment) -> None:
    assert station.slot is not None
    with patient(station.home) as reader:
        changes = reader.watch()
        there = next(changes).reader
        station.slot.insert("adulte")
        assert any(change.reader.state == "present" for change in changes)
        station.slot.remove()
        reader.wait_until_empty(there.id)
        changes.close()
        assert reader.station().station.mode == "simulated"
