"""A code scanned with a handheld imager: imager firmware, pyserial, daemon, apCV service, token; verified by PyJWT."""

import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.practice import apcv_options
from vitale_firmware_sim.apcv_service.service import ApcvService
from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.imager.faults import Behaviour, ImagerFaults
from vitale_firmware_sim.phone.user import PhoneUser
from vitale_firmware_sim.scenario import load_scenario
from vitale_protocol.errors import MediumExpired, MediumUnsupported, PayloadInvalid, PresentationTimeout
from vitale_protocol.events import PresentationProgress
from vitale_protocol.methods import DriverHealth, Scope
from vitale_protocol.records import Medium
from vitale_reader import Connection, Presentation, ReaderChange

ALL: tuple[Scope, ...] = ("identity", "nir", "rights", "dependants", "context")
MEDIA: tuple[Medium, ...] = ("apcv-qr", "ins-datamatrix")
PATIENCE = 60.0
SHORTEST = 1.0
INS = (
    b"IS01" + b"0" * 22 + b"S1277010115400329S21.2.250.1.213.1.4.10\x1dS3SARAH-LOU ANNA\x1dS4GARCIA-HAMMADI\x1d"
    b"S5FS601-01-1977S701154"
)


def screen(phone: str, ago: float = 0.0) -> bytes:
    """The code that a phone of the scenario shows now, or showed so many seconds ago."""
    then = time.time() - ago
    phone_user = PhoneUser(load_scenario("famille"), phone, clock=lambda: then, random=secrets.token_bytes)
    phone_user.unlock()
    return phone_user.phone.qr(then).string


class Counter:
    """An imager on a pseudo-terminal, a service, and the configuration of a daemon for both."""

    def __init__(self, folder: Path, service: ApcvService) -> None:
        self.link = folder / "imager"
        self.imager = Imager(Behaviour(aim=True), link=self.link)
        self.service = service

    def options(self, **more: float) -> str:
        """For the driver scanner, and the tables that follow."""
        # Imager and driver may be kept from the processor in the middle of a line: that is no torn one.
        lines = [
            f'devices = ["{self.link}"]',
            "line_timeout = 10",
            *(f"{name} = {value}" for name, value in more.items()),
        ]
        lines += [
            "[apcv]",
            'resolver = "apcv-soap"',
            apcv_options(self.service.url),
        ]
        return "\n".join(lines)

    def read(self, client: Connection, act: Callable[[], None], timeout: float = PATIENCE) -> Presentation:
        """Asks, and acts once the daemon is armed."""
        wait_for(client, "empty")
        acted: list[str] = []

        def follow(step: PresentationProgress) -> None:
            if step.step == "armed" and not acted:
                acted.append(step.step)
                act()

        return client.read(media=MEDIA, scopes=ALL, timeout=timeout, on_progress=follow, nonce="n" * 22)

    def scan(self, client: Connection, code: bytes, symbology: str = "qr") -> Presentation:
        """Asks, and scans a code once the daemon is armed."""
        return self.read(client, lambda: self.imager.scan(code, symbology))

    @contextmanager
    def scanning(self, code: bytes, plugged: threading.Event) -> Generator[None]:
        """Scans a code again and again, once the imager is plugged in: for as long as nobody takes it, it is lost."""
        read = threading.Event()

        def scan() -> None:
            if plugged.wait(PATIENCE):
                while not read.wait(0.2):
                    self.imager.scan(code)

        hand = threading.Thread(target=scan)
        hand.start()
        try:
            yield
        finally:
            read.set()
            plugged.set()
            hand.join()


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    with ApcvService(load_scenario("famille")) as service:
        made = Counter(tmp_path, service)
        with made.imager:
            yield made


def wait_for(client: Connection, wanted: str) -> None:
    """Waits until the imager is there and shows a state: what is scanned before it is opened is lost."""
    end, pause = time.monotonic() + PATIENCE, threading.Event()
    while [reader.state for reader in client.readers()] != [wanted]:
        assert time.monotonic() < end, [reader.state for reader in client.readers()]
        pause.wait(0.01)


def wait_for_health(client: Connection, wanted: str) -> DriverHealth:
    """Waits until the only driver is in a state; its health as it is then."""
    end, pause = time.monotonic() + PATIENCE, threading.Event()
    while (driver := client.station().drivers[0]).state != wanted:
        assert time.monotonic() < end, driver
        pause.wait(0.01)
    return driver


def hear(changes: Iterator[ReaderChange], *wanted: str) -> None:
    """Waits for changes to come in this order, others among them: a state alone may be the one of before the deed."""
    for one in wanted:
        while one not in ((change := next(changes)).kind, change.reader.state):
            pass


def test_a_scan_becomes_a_token(counter: Counter, start_daemon: Any) -> None:
    daemon = start_daemon(driver="scanner", options=counter.options())
    with daemon.connect() as client:
        code = screen("claire")
        found = counter.scan(client, code)
        (jwk,) = jwt.PyJWKSet.from_dict(client.keys()).keys
        claims = jwt.decode(found.token, jwk, algorithms=["ES256"], audience="local")
        assert claims["nonce"] == "n" * 22
        assert claims["medium"] == "apcv-qr"
        assert claims["proof"] == {"method": "apcv-resolved", "verified": True, "freshness": "window"}
        assert claims["origin"] == "simulated"
        assert claims["reader"] == {"id": f"scanner:{counter.link}", "driver": "scanner"}
        people = claims["record"]["beneficiaires"]
        assert [person["prenom"] for person in people] == ["CLAIRE", "LÉA", "TOM"]
    assert code.decode() not in daemon.log
    assert people[0]["nir_certifie"] not in daemon.log


def test_an_ins_datamatrix_becomes_a_token(counter: Counter, start_daemon: Any) -> None:
    daemon = start_daemon(driver="scanner", options=counter.options())
    with daemon.connect() as client:
        found = counter.scan(client, INS, "datamatrix")
        assert found.claims.medium == "ins-datamatrix"
        assert [person.nom_patronymique for person in found.beneficiaries] == ["GARCIA-HAMMADI"]
    assert "GARCIA" not in daemon.log


def test_a_scan_before_the_request_is_used_once(counter: Counter, start_daemon: Any) -> None:
    daemon = start_daemon(driver="scanner", options=counter.options(grace=60.0))
    with daemon.connect() as client:
        wait_for(client, "empty")
        counter.imager.scan(screen("claire"))
        wait_for(client, "present")
        found = client.read(media=MEDIA, scopes=ALL, timeout=PATIENCE)
        assert found.beneficiaries[0].prenom == "CLAIRE"
        wait_for(client, "empty")
        with pytest.raises(PresentationTimeout):
            client.read(media=MEDIA, scopes=ALL, timeout=SHORTEST)


def test_a_scan_that_nobody_asked_for_is_forgotten(counter: Counter, start_daemon: Any) -> None:
    daemon = start_daemon(driver="scanner", options=counter.options(grace=0.3))
    with daemon.connect() as client:
        wait_for(client, "empty")
        with closing(client.watch()) as changes:
            hear(changes, "added")
            counter.imager.scan(screen("claire"))
            hear(changes, "present", "empty")
        with pytest.raises(PresentationTimeout):
            client.read(media=MEDIA, scopes=ALL, timeout=SHORTEST)
        plugged = threading.Event()
        plugged.set()
        with counter.scanning(screen("paul"), plugged):
            assert client.read(media=MEDIA, scopes=ALL, timeout=PATIENCE).beneficiaries[0].prenom == "PAUL"


def test_what_is_no_code_of_a_patient_is_told_and_ends_nothing(counter: Counter, start_daemon: Any) -> None:
    daemon = start_daemon(driver="scanner", options=counter.options())
    told: list[PresentationProgress] = []

    def follow(step: PresentationProgress) -> None:
        told.append(step)
        match len(told):
            case 1:
                counter.imager.scan(b"3400930000120", "ean")
            case 2:
                counter.imager.scan(screen("claire"))
            case _:
                pass

    with daemon.connect() as client:
        wait_for(client, "empty")
        assert client.read(media=MEDIA, scopes=ALL, timeout=PATIENCE, on_progress=follow).proof.verified
        assert [step.step for step in told][:2] == ["armed", "retry"]
        assert "not a patient's code" in told[1].message
        with pytest.raises(MediumUnsupported):
            counter.scan(client, b"277010115400329", "code128")
        with pytest.raises(PayloadInvalid):
            counter.scan(client, b"x" * 5000)
        assert counter.scan(client, screen("paul")).proof.verified


def test_a_photograph_of_an_old_screen_is_refused_as_old(counter: Counter, start_daemon: Any) -> None:
    daemon = start_daemon(driver="scanner", options=counter.options())
    with daemon.connect() as client:
        old = screen("claire", ago=300)
        with pytest.raises(MediumExpired):
            counter.scan(client, old)
        assert counter.scan(client, screen("claire")).proof.verified
    assert old.decode() not in daemon.log


def test_an_imager_torn_out_while_it_sends_is_told_and_reads_when_it_is_back(
    counter: Counter, start_daemon: Any
) -> None:
    daemon = start_daemon(driver="scanner", options=counter.options())
    steps: list[tuple[str, str]] = []
    plugged = threading.Event()

    def follow(step: PresentationProgress) -> None:
        steps.append((step.step, step.message))
        if len(steps) == 1:
            counter.imager.faults = ImagerFaults(tear_after=40)
            counter.imager.scan(screen("paul"))
        elif step.step == "retry":
            counter.imager.open()
            plugged.set()

    with daemon.connect() as client:
        wait_for(client, "empty")
        with counter.scanning(screen("claire"), plugged):
            found = client.read(media=MEDIA, scopes=ALL, timeout=PATIENCE, on_progress=follow)
    assert found.beneficiaries[0].prenom == "CLAIRE"
    assert [step for step, _ in steps][:2] == ["armed", "retry"]
    assert "disconnected" in steps[1][1]


def test_an_imager_that_is_plugged_in_later_needs_no_restart(tmp_path: Path, start_daemon: Any) -> None:
    with ApcvService(load_scenario("famille")) as service:
        counter = Counter(tmp_path, service)
        daemon = start_daemon(driver="scanner", options=counter.options())
        with daemon.connect() as client:
            assert client.readers() == ()
            with counter.imager:
                assert counter.scan(client, screen("claire")).beneficiaries[0].prenom == "CLAIRE"
                # Another terminal, to which the link leads then.
                with closing(client.watch()) as changes:
                    hear(changes, "added")
                    counter.imager.unplug()
                    counter.imager.open()
                    hear(changes, "removed", "empty")
                assert counter.scan(client, screen("paul")).beneficiaries[0].prenom == "PAUL"
            (driver,) = client.station().drivers
            assert (driver.restarts, driver.state) == (0, "ready")


HOLD = """
import fcntl, sys
open("/proc/self/comm", "w").write("lgo-officine")
port = open(sys.argv[1], "rb", buffering=0)
fcntl.flock(port, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can tell")
def test_a_program_that_has_the_port_is_named(counter: Counter, start_daemon: Any) -> None:
    arguments = [sys.executable, "-c", HOLD, counter.imager.path]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        daemon = start_daemon(driver="scanner", options=counter.options())
        with daemon.connect() as client:
            wait_for(client, "unavailable")
            # A reader is told before why it is as it is.
            driver = wait_for_health(client, "degraded")
            assert (driver.reason, driver.variant) == ("reader_busy", "scanner")
            named = str(driver.detail).rpartition(" (")[2].removesuffix(")").split(", ")
            assert "lgo-officine" in named, "beside the imager itself, a program here"
            holder.stdin.close()
            assert holder.wait(20) == 0
            assert counter.scan(client, screen("claire")).proof.verified
