"""A phone tapped on a reader: PN532 firmware, nfcpy, daemon, apCV service, token; verified by PyJWT."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.practice import apcv_options
from vitale_firmware_sim.apcv_service.service import ApcvService
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_firmware_sim.card.vpcd import VpcdLink
from vitale_firmware_sim.phone.card import PhoneCard
from vitale_firmware_sim.phone.user import PhoneUser
from vitale_firmware_sim.pn532.reader import Pn532Reader
from vitale_firmware_sim.scenario import load_scenario
from vitale_protocol.errors import (
    ContextUnknown,
    MediumExpired,
    Replayed,
    ResolverRefused,
    ResolverUnavailable,
    VitaleError,
)
from vitale_protocol.events import PresentationProgress
from vitale_protocol.methods import Scope
from vitale_reader import Connection, Presentation
from vitale_reader.diagnosis.station import daemon_view
from vitale_reader.diagnosis.station.daemon_view import DaemonView

ALL: tuple[Scope, ...] = ("identity", "nir", "rights", "dependants", "context")
PATIENCE = 60.0
LAUNCH = (sys.executable, "-m", "vitale_reader", "serve")


def phone_user(phone: str, scenario: str = "famille", **options: Any) -> PhoneUser:
    """A hand with a phone of a scenario."""
    return PhoneUser(load_scenario(scenario), phone, clock=time.time, random=secrets.token_bytes, **options)


class Counter:
    """A reader on a pseudo-terminal, a service, and the configuration of a daemon for both."""

    def __init__(self, folder: Path, service: ApcvService | None) -> None:
        self.link = folder / "reader"
        self.reader = Pn532Reader(link=self.link)
        self.service = service
        self.timeout = 20.0

    @property
    def options(self) -> str:
        """For the driver nfc, and the tables that follow."""
        return f'devices = ["{self.link}"]\n{self.apcv}'

    @property
    def apcv(self) -> str:
        """The tables of the apCV."""
        lines = ["[apcv]", 'profiles = ["simulator"]', f"timeout = {self.timeout}"]
        if self.service is not None:
            lines += [
                'resolver = "apcv-soap"',
                apcv_options(self.service.url),
            ]
        return "\n".join(lines)

    def tap(
        self, client: Connection, string: Callable[[], bytes], scopes: tuple[Scope, ...] = ALL, **wishes: Any
    ) -> Presentation:
        """Asks, lays a phone on the reader once the daemon is armed, and takes it away."""
        phone = PhoneCard(string)
        laid: list[str] = []

        def lay(step: PresentationProgress) -> None:
            if step.step == "armed" and not laid:
                self.reader.field.put(phone)
                laid.append(step.step)

        try:
            return client.read(media=["apcv-nfc"], scopes=scopes, timeout=PATIENCE, on_progress=lay, **wishes)
        finally:
            self.reader.field.remove()


def diagnosis(daemon: Any) -> list[tuple[str, str]]:
    """What ``vitale-reader doctor`` finds."""
    home = str(daemon.home.config.parent)
    answer = daemon.interpreter.run("-m", "vitale_reader", "doctor", "--json", "--home", home)
    return [(finding["subject"], finding["state"]) for finding in json.loads(answer.stdout)["findings"]]


def told(client: Connection) -> list[tuple[str, str]]:
    """What ``vitale-reader doctor`` takes from the daemon, whatever its answer, without a process for it."""
    return [(row.subject, row.state) for row in daemon_view.look(DaemonView(station=client.station()))]


def until(holds: Callable[[], bool]) -> None:
    """Tries again until it holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end


@pytest.fixture
def service() -> Iterator[ApcvService]:
    with ApcvService(load_scenario("famille")) as service:
        yield service


@pytest.fixture
def counter(tmp_path: Path, service: ApcvService) -> Iterator[Counter]:
    made = Counter(tmp_path, service)
    with made.reader:
        yield made


@pytest.fixture
def lone_counter(tmp_path: Path) -> Iterator[Counter]:
    made = Counter(tmp_path, None)
    with made.reader:
        yield made


def test_a_tap_becomes_a_token(counter: Counter, service: ApcvService, start_daemon: Any) -> None:
    daemon = start_daemon(driver="nfc", options=counter.options)
    with daemon.connect() as client:
        found = counter.tap(client, phone_user("claire").tap, nonce="n" * 22)
        (jwk,) = jwt.PyJWKSet.from_dict(client.keys()).keys
        claims = jwt.decode(found.token, jwk, algorithms=["ES256"], audience="local")
        assert claims["nonce"] == "n" * 22
        assert claims["medium"] == "apcv-nfc"
        assert claims["proof"] == {"method": "apcv-resolved", "verified": True, "freshness": "window"}
        assert claims["origin"] == "simulated"
        assert claims["reader"]["driver"] == "nfc"
        assert claims["record"]["assure"]["code_regime"] == "01"
        people = claims["record"]["beneficiaires"]
        assert [person["prenom"] for person in people] == ["CLAIRE", "LÉA", "TOM"]
        assert people[0]["droits_amo"] == [{"debut": "20260101", "fin": "20271231"}]
        assert claims["context"]["identifiant"] in service.contexts.open_contexts(time.time())
        assert client.restore_context(claims["context"]["identifiant"]).confirmed
        assert client.release_context(claims["context"]["identifiant"])
        assert service.contexts.open_contexts(time.time()) == ()
    for secret in (claims["context"]["token"], claims["context"]["identifiant"], people[0]["nir_certifie"]):
        assert secret not in daemon.log


def test_somebody_else_presents_a_childs_card(counter: Counter, start_daemon: Any) -> None:
    daemon = start_daemon(driver="nfc", options=counter.options)
    with daemon.connect() as client:
        found = counter.tap(client, phone_user("paul", present_for="claire").tap)
        assert found.delegate == "PAUL MERLE-ESSAI"
        assert found.warnings == ("delegation",)
        child = counter.tap(client, phone_user("claire", porteur=2).tap)
        assert child.holder is not None
        assert (child.holder.prenom, child.delegate) == ("TOM", None)


def test_kill_and_restart_keep_contexts_and_used_strings(counter: Counter, start_daemon: Any) -> None:
    daemon = start_daemon(driver="nfc", options=counter.options)
    string = phone_user("claire").tap()
    with daemon.connect() as client:
        context = counter.tap(client, lambda: string).context
        assert context is not None
        with pytest.raises(Replayed):
            counter.tap(client, lambda: string)
        daemon.kill()
        stored = b"".join(file.read_bytes() for file in daemon.home.state.glob("store.db*"))
        for secret in (string, context.token.encode(), context.identifiant.encode()):
            assert secret not in stored
        daemon.start()
        assert client.restore_context(context.identifiant).token == context.token
        with pytest.raises(Replayed):
            counter.tap(client, lambda: string)
        fresh = counter.tap(client, phone_user("claire").tap).context
        assert fresh is not None
        with pytest.raises(ContextUnknown):
            client.restore_context(context.identifiant)


def test_a_string_that_was_being_resolved_when_the_daemon_died_counts_as_used(
    counter: Counter, service: ApcvService, start_daemon: Any
) -> None:
    daemon = start_daemon(driver="nfc", options=counter.options)
    string = phone_user("claire").tap()
    phone = PhoneCard(lambda: string)
    steps: list[str] = []

    def follow(step: PresentationProgress) -> None:
        steps.append(step.step)
        if steps == ["armed"]:
            counter.reader.field.put(phone)
        if step.step == "resolving":
            daemon.kill()
            service.behave("normal")
            daemon.start()

    service.behave("silent")
    with daemon.connect() as client, pytest.raises(Replayed):
        client.read(media=["apcv-nfc"], scopes=ALL, timeout=PATIENCE, on_progress=follow)
    assert steps.count("resolving") == 1, "nobody was asked a second time"
    counter.reader.field.remove()


FAILURES = ("down", "closed", "silent", "garbage", "billion-laughs", "huge")


@pytest.mark.parametrize("behaviour", FAILURES)
def test_a_service_that_fails_is_told_in_time_and_comes_back(
    behaviour: Any, counter: Counter, service: ApcvService, start_daemon: Any
) -> None:
    counter.timeout = 2.0 if behaviour == "silent" else counter.timeout
    daemon = start_daemon(driver="nfc", options=counter.options)

    def is_verified() -> bool:
        with suppress(ResolverUnavailable):
            return counter.tap(client, phone_user("claire").tap).proof.verified
        return False

    with daemon.connect() as client:
        service.behave(behaviour)
        with pytest.raises(ResolverUnavailable):  # not the time-out of the reading
            counter.tap(client, phone_user("claire").tap)
        assert ("resolver", "wrong") in told(client)
        if behaviour == FAILURES[0]:
            assert ("resolver", "wrong") in diagnosis(daemon)
        service.behave("normal")
        # It is back when it is: on a busy machine an answer may take longer than it may.
        until(is_verified)
        until(lambda: ("resolver", "ok") in told(client))
        if behaviour == FAILURES[0]:
            assert ("resolver", "ok") in diagnosis(daemon)


@pytest.mark.parametrize(
    ("phone", "error"),
    [("expire", MediumExpired), ("revoque", ResolverRefused), ("suspendu", ResolverRefused)],
)
def test_what_the_service_refuses(phone: str, error: type[VitaleError], tmp_path: Path, start_daemon: Any) -> None:
    with ApcvService(load_scenario("incidents")) as service:
        counter = Counter(tmp_path, service)
        with counter.reader:
            daemon = start_daemon(driver="nfc", options=counter.options)
            with daemon.connect() as client:
                with pytest.raises(error):
                    counter.tap(client, phone_user(phone, "incidents").tap)
                old = counter.tap(client, phone_user("droits-anciens", "incidents").tap)
                assert old.warnings == ("rights_stale",)


def test_without_a_resolver_the_string_is_transported(lone_counter: Counter, start_daemon: Any) -> None:
    daemon = start_daemon(driver="nfc", options=lone_counter.options)
    string = phone_user("claire").tap()
    with daemon.connect() as client:
        found = lone_counter.tap(client, lambda: string, scopes=("payload",))
        assert found.proof.method == "apcv-transported"
        assert found.claims.payload == string.decode()
        assert found.claims.record.beneficiaires is None
        with pytest.raises(Replayed):
            lone_counter.tap(client, lambda: string)
    assert string.decode() not in daemon.log


@pytest.mark.pcscd
def test_a_phone_on_a_contactless_pcsc_reader(counter: Counter, pcsc_service: PcscService, start_daemon: Any) -> None:
    daemon = start_daemon(driver="pcsc", options=counter.apcv)
    link = VpcdLink(PhoneCard(phone_user("claire").tap), port=pcsc_service.ports[0])
    try:
        with daemon.connect() as client:
            laid: list[str] = []

            def lay(step: PresentationProgress) -> None:
                if step.step == "armed" and not laid:
                    laid.append(step.step)
                    link.insert()

            found = client.read(media=["apcv-nfc"], scopes=ALL, timeout=PATIENCE, on_progress=lay)
        assert (found.claims.reader.driver, found.proof.method) == ("pcsc", "apcv-resolved")
        assert [person.prenom for person in found.beneficiaries] == ["CLAIRE", "LÉA", "TOM"]
    finally:
        link.close()


def test_a_simulated_profile_is_refused_in_production_at_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text('[apcv]\nprofiles = ["simulator"]\n')
    answer = subprocess.run([*LAUNCH, "--home", str(home)], capture_output=True, text=True, timeout=100, check=False)
    assert answer.returncode != 0
    assert "simulat" in answer.stdout + answer.stderr
