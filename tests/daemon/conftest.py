"""A daemon in the test's own process, a client that is nothing but JSON lines on a socket, and phones on a reader."""

import asyncio
import datetime as dt
import hashlib
import itertools
import json
import ssl
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from tests.daemon.patience import be_patient
from tests.posix import OWN_DOOR, open_unix_connection
from vitale_drivers.base import (
    Command,
    LeaseCommand,
    Leased,
    Presented,
    ReaderAdded,
    ReaderChanged,
    Settled,
    Started,
    Transmitted,
)
from vitale_protocol.errors import ContextUnknown
from vitale_protocol.events import Reader
from vitale_protocol.methods import DriverHealth
from vitale_protocol.problems import Problem
from vitale_protocol.records import Assure, Beneficiaire, Record
from vitale_reader.client.pairing import Pairing
from vitale_reader.daemon import diagnostics
from vitale_reader.daemon.app import running
from vitale_reader.daemon.composition import desks, issuing
from vitale_reader.daemon.config import Config, parse
from vitale_reader.daemon.desk import coordinator
from vitale_reader.daemon.desk.coordinator import Coordinator
from vitale_reader.daemon.issuing.contexts import Contexts
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.workers.heartbeat import Beat
from vitale_reader.daemon.workers.worker import Worker
from vitale_reader.home import Endpoints, Home, TlsEndpoint
from vitale_reader.resolvers.base import Resolution, Resolver

WITHOUT_DRIVERS = parse('[station]\nmode = "simulated"\n[drivers]\nenabled = []\n[tls]\nport = 0')
PATIENCE = 40.0

Json = dict[str, Any]


class Line:
    """One connection; every answer is awaited within a time limit."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.notifications: list[Json] = []
        self._answers: dict[int | str | None, Json] = {}
        self._last = 0

    def send(self, message: object) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")

    def send_call(self, method: str, params: Json | None = None) -> int:
        self._last += 1
        self.send({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params or {}})
        return self._last

    async def receive(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            line = await self.reader.readline()
        return json.loads(line) if line else None

    async def answer(self, request: int | str | None) -> Json:
        """The answer to a call; notifications and other calls' answers on the way are kept."""
        while request not in self._answers:
            message = await self.receive()
            assert message is not None, f"the connection ended before the answer to {request}"
            if "method" in message:
                self.notifications.append(message)
            else:
                self._answers[message.get("id")] = message
        return self._answers.pop(request)

    async def answers(self, *requests: int) -> list[Json]:
        """The answers to several calls, in whatever order they come."""
        return [await self.answer(request) for request in requests]

    async def call(self, method: str, params: Json | None = None) -> Json:
        """The whole answer to a call."""
        return await self.answer(self.send_call(method, params))

    async def result(self, method: str, params: Json | None = None) -> Json:
        answer = await self.call(method, params)
        assert "result" in answer, answer
        return dict(answer["result"])

    async def reason(self, method: str, params: Json | None = None) -> str:
        answer = await self.call(method, params)
        assert "error" in answer, "it should have been refused"
        return str(answer["error"]["data"]["reason"])

    async def open(self, **params: Any) -> Json:
        return await self.result("session.open", {"protocol": [1], "client": {"name": "test", "version": "1"}} | params)

    async def ended(self) -> bool:
        """Whether the daemon has ended the connection (waits for it)."""
        async with asyncio.timeout(PATIENCE):
            try:
                while await self.reader.read(65_536):
                    pass
            except ConnectionError:
                pass
        return True

    async def close(self) -> None:
        self.writer.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await self.writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            pass


@asynccontextmanager
async def unix_line(endpoints: Endpoints) -> AsyncGenerator[Line]:
    """The way of the daemon's own user: the Unix socket, and where there is none, TLS with the owner's certificate."""
    if endpoints.unix is None:
        assert endpoints.owner is not None
        assert endpoints.tls is not None
        owner = Pairing.load(Path(endpoints.owner))
        with TemporaryDirectory() as folder:
            certificate = Path(folder) / "owner.pem"
            certificate.write_text(f"{owner.certificate}{owner.private_key}", "utf-8")
            async with tls_line(endpoints.tls, certificate) as secured:
                yield secured
        return
    line = Line(*await open_unix_connection(endpoints.unix, limit=4_000_000))
    try:
        yield line
    finally:
        await line.close()


@asynccontextmanager
async def tls_line(endpoint: TlsEndpoint, certificate: Path | None) -> AsyncGenerator[Line]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate)
    line = Line(*await asyncio.open_connection(endpoint.host, endpoint.port, ssl=context, limit=4_000_000))
    shown = line.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    assert hashlib.sha256(shown).hexdigest() == endpoint.sha256
    try:
        yield line
    finally:
        await line.close()


class Tools:
    """What the tests of this folder share, as a fixture since test files cannot import one another."""

    Line = Line
    unix_line = staticmethod(unix_line)
    tls_line = staticmethod(tls_line)
    running = staticmethod(running)
    without_drivers = WITHOUT_DRIVERS

    def __init__(self, home: Home) -> None:
        self.home = home

    def run(self, work: Callable[[Endpoints], Awaitable[None]], config: Config = WITHOUT_DRIVERS) -> None:
        """Runs the work of a test next to a daemon."""

        async def main() -> None:
            async with running(self.home, config) as endpoints:
                await work(endpoints)

        asyncio.run(main())


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(Home.under(tmp_path))


@pytest.fixture(autouse=True)
def patient_with_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report on the desk comes late on a busy machine, and is none the less one."""
    monkeypatch.setattr(diagnostics, "LIMIT", 10 * diagnostics.LIMIT)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is never taken for away because it is late, however busy the machine is."""
    be_patient(monkeypatch)


# ── phones ───────────────────────────────────────────────────────────────────────────────────────────────────────

NFC_READER = Reader(id="nfc:counter", name="Counter", driver="nfc", media=("apcv-nfc",), state="empty", simulated=True)
CARD_READER = Reader(
    id="pcsc:slot", name="Slot", driver="pcsc", media=("vitale-card",), state="present", medium="vitale-card"
)
CODES = ("apcv-qr", "ins-datamatrix", "2d-doc")
CAMERA_READER = Reader(id="camera:desk", name="Camera", driver="camera", media=CODES, state="empty")
SCANNER_READER = Reader(id="scanner:desk", name="Scanner", driver="scanner", media=CODES, state="empty")
RECORD = Record(
    assure=Assure(nir="2840613990412", cle_nir="46", code_regime="01"),
    beneficiaires=(
        Beneficiaire(nom_usuel="MERLE-ESSAI", prenom="CLAIRE", qualite="0"),
        Beneficiaire(nom_usuel="MERLE-ESSAI", prenom="TOM", qualite="6"),
    ),
    porteur=0,
)


class ScriptedResolver(Resolver):
    """A resolver in the test's hands: what it gives, when, and what it was asked for."""

    name = "scripted"

    def __init__(self) -> None:
        super().__init__({}, "simulated")
        self.calls: list[tuple[str, object]] = []
        self.life = 1800.0
        self.fault: Exception | None = None
        self.restore_fault: Exception | None = None
        self.release_fault: Exception | None = None
        self.changes: dict[str, Any] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.changed = asyncio.Condition()
        self.open_contexts: dict[str, Resolution] = {}
        self._numbers = itertools.count(1)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def resolve(self, string: bytes, *, nonce: str) -> Resolution:
        await self._note("resolve", string)
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        made = Resolution(
            identifiant=f"ctx-{next(self._numbers)}-{string.decode(errors='replace')}",
            token="TOKEN-OF-THE-SERVICE",
            date_fin_validite=dt.datetime.fromtimestamp(time.time() + self.life, dt.UTC),
            record=RECORD,
            origin="simulated",
        )
        self.open_contexts[made.identifiant] = made
        return msgspec.structs.replace(made, **self.changes)

    async def restore(self, identifiant: str) -> Resolution:
        await self._note("restore", identifiant)
        if self.restore_fault is not None:
            raise self.restore_fault
        if identifiant not in self.open_contexts:
            raise ContextUnknown
        return self.open_contexts[identifiant]

    async def release(self, identifiant: str) -> None:
        await self._note("release", identifiant)
        if self.release_fault is not None:
            raise self.release_fault
        if self.open_contexts.pop(identifiant, None) is None:
            raise ContextUnknown

    async def _note(self, what: str, value: object) -> None:
        async with self.changed:
            self.calls.append((what, value))
            self.changed.notify_all()

    def count(self, what: str) -> int:
        return sum(call == what for call, _ in self.calls)

    async def wait_for(self, what: str, count: int = 1) -> None:
        """Until it was called so often."""
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(lambda: self.count(what) >= count)


class NoDrivers:
    """A supervisor of drivers that are the test itself."""

    def __init__(self, *_: object, **__: object) -> None:
        self.sent: list[tuple[str, Command]] = []
        self.restarted: list[str] = []
        self._beside: list[tuple[Worker, asyncio.Task[None]]] = []

    health: tuple[DriverHealth, ...] = ()
    workers: Mapping[str, Worker] = MappingProxyType({})
    processes: frozenset[int] = frozenset()
    beat = Beat()
    hidden: tuple[str, ...] = ()

    @property
    def gateway(self) -> DriverHealth | None:
        return self._named("gateway")

    @property
    def exporter(self) -> DriverHealth | None:
        return self._named("exporter")

    def _named(self, name: str) -> DriverHealth | None:
        return next((worker.health for worker, _ in self._beside if worker.name == name), None)

    def start(self) -> None:
        pass

    def add(self, worker: Worker) -> None:
        """The gateway and the exporter are real ones."""
        self._beside.append((worker, asyncio.create_task(worker.run())))

    def send(self, driver: str, command: Command) -> None:
        self.sent.append((driver, command))

    async def transmit(self, driver: str, reader: str, apdus: tuple[bytes, ...], *, lease: int) -> Transmitted:
        """A card that answers each command with itself and 9000, and 00FF… with 6D00."""
        assert (driver, reader) == (CARD_READER.driver, CARD_READER.id)
        responses = tuple(itertools.takewhile(bool, (b"" if apdu[1] == 0xFF else apdu + b"\x90\x00" for apdu in apdus)))
        if len(responses) < len(apdus):
            return Transmitted(id=lease, responses=responses, problem=Problem("card_error", data={"sw": "6D00"}))
        return Transmitted(id=lease, responses=responses)

    async def end(self, worker: Worker) -> None:
        """So is that of the dashboard."""
        await worker.stop()

    def restart(self, driver: str) -> bool:
        """Drivers that are the test itself cannot begin anew; which one was asked for is kept."""
        self.restarted.append(driver)
        return driver in {"nfc", "pcsc"}

    async def stop(self) -> None:
        for worker, task in self._beside:
            await worker.stop()
            await task


class Counter:
    """A station with one NFC reader, on which the test taps strings, and with a resolver in the test's hands."""

    Resolution = Resolution
    record = RECORD

    def __init__(self, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tools = tools
        self.home = tools.home
        self.resolver = ScriptedResolver()
        self._desks: list[Coordinator] = []
        self._contexts: list[Contexts] = []
        self._monkeypatch = monkeypatch

    def config(self, apcv: str = "timeout = 60.0", station: str = 'mode = "simulated"', rest: str = "") -> Config:
        return parse(f"[station]\n{station}\n[drivers]\nenabled = []\n{OWN_DOOR}[apcv]\n{apcv}\n{rest}")

    def run(
        self, work: Callable[[Line], Awaitable[None]], config: Config | None = None, *, scripted: bool = True
    ) -> None:
        """Runs the work of a test with an open session of the daemon's own user."""

        async def main() -> None:
            async with self.station(config, scripted=scripted) as endpoints, unix_line(endpoints) as line:
                await line.open(language="en")
                await work(line)

        asyncio.run(main())

    @asynccontextmanager
    async def station(self, config: Config | None = None, *, scripted: bool = True) -> AsyncGenerator[Endpoints]:
        made, all_contexts = self._desks, self._contexts

        def scripted_resolver(_name: str) -> Callable[[object, object], Resolver]:
            return lambda _options, _mode: self.resolver

        class CapturedContexts(Contexts):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                all_contexts.append(self)

        class CapturedDesk(Coordinator):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                made.append(self)

        with self._monkeypatch.context() as patch:
            patch.setattr(desks, "Coordinator", CapturedDesk)
            patch.setattr(issuing, "Contexts", CapturedContexts)
            patch.setattr(coordinator, "Supervisor", NoDrivers)
            if scripted:
                patch.setattr(issuing, "load_resolver", scripted_resolver)
            async with running(self.home, config or self.config()) as endpoints:
                for reader in (NFC_READER, CARD_READER):
                    self.desk.report(reader.driver, Started(driver=reader.driver, media=reader.media))
                self.desk.report("nfc", ReaderAdded(reader=NFC_READER))
                for reader in (NFC_READER, CARD_READER):
                    self.desk.report(reader.driver, Settled())
                yield endpoints

    async def paired(self, line: Line) -> Json:
        """Another client that may hold contexts: its id and its credential."""
        params = {"name": "other", "scopes": ["identity", "context"], "transports": ["unix"]}
        return dict(await line.result("clients.add", params))

    def put_card(self) -> None:
        """A Vitale card stands in the card reader."""
        self.desk.report("pcsc", ReaderAdded(reader=CARD_READER))

    def hold(self, reason: str = "") -> int:
        """The driver holds the card that it was last told to hold, or says why not; the number of the lease."""
        command = self.sent[-1][1]
        assert isinstance(command, LeaseCommand)
        problem = Problem(reason) if reason else None
        self.desk.report("pcsc", Leased(id=command.id, atr=b"" if reason else b"\x3b\x00", problem=problem))
        return command.id

    def give_card(self, evidence: dict[str, bytes]) -> None:
        """What the card in the card reader said."""
        presented = Presented(
            id=str(uuid.uuid4()),
            medium="vitale-card",
            reader=CARD_READER.id,
            at=time.time(),
            evidence=evidence,
            simulated=True,
        )
        self.desk.report("pcsc", presented)

    def put_optics(self) -> None:
        """A camera and a scanner stand on the desk."""
        for reader in (CAMERA_READER, SCANNER_READER):
            self.desk.report(reader.driver, Started(driver=reader.driver, media=reader.media))
            self.desk.report(reader.driver, ReaderAdded(reader=reader))
            self.desk.report(reader.driver, Settled())

    def show(self, string: bytes, medium: str = "apcv-qr") -> None:
        """A code comes before the camera, and stays there."""
        self._see(CAMERA_READER, None)
        self._see(CAMERA_READER, medium)
        self._read_code(CAMERA_READER, medium, string)

    def read_again(self, string: bytes, medium: str = "apcv-qr") -> None:
        """The code that stays before the camera is read once more."""
        self._read_code(CAMERA_READER, medium, string)

    def scan(self, string: bytes, medium: str = "apcv-qr") -> None:
        """A code is scanned, while the scanner is armed."""
        self._see(SCANNER_READER, medium)
        self._read_code(SCANNER_READER, medium, string)
        self._see(SCANNER_READER, None)

    def _see(self, reader: Reader, medium: str | None) -> None:
        changed = msgspec.structs.replace(reader, state="present" if medium else "empty", medium=medium)
        self.desk.report(reader.driver, ReaderChanged(reader=changed))

    def _read_code(self, reader: Reader, medium: str, string: bytes) -> None:
        evidence = {"string" if medium == "apcv-qr" else "code": string, "symbology": b"qr"}
        presented = Presented(
            id=str(uuid.uuid4()), medium=medium, reader=reader.id, at=time.time(), evidence=evidence, simulated=False
        )
        self.desk.report(reader.driver, presented)

    @property
    def sent(self) -> list[tuple[str, Command]]:
        """The commands to drivers so far."""
        supervisor: object = self.desk.supervisor
        assert isinstance(supervisor, NoDrivers)
        return supervisor.sent

    @property
    def desk(self) -> Coordinator:
        return self._desks[-1]

    @property
    def contexts(self) -> Contexts:
        return self._contexts[-1]

    def set_ahead(self, seconds: float) -> None:
        """Sets the clock of the contexts ahead; they notice within ``contexts.LOOK`` seconds."""
        wall = time.time
        clock = StoreClock(Remembered(), wall=lambda: wall() + seconds)
        self.contexts._clock = clock  # pyright: ignore[reportPrivateUsage]

    async def ask(self, line: Line, **params: Any) -> int:
        """A request that waits for a phone."""
        request = line.send_call("presentation.request", {"nonce": "n" * 22, "media": ["apcv-nfc"]} | params)
        await self.step(line, "armed", request)
        return request

    async def step(self, line: Line, step: str, request: int) -> None:
        """Until a request is told that it got so far."""
        while True:
            message = await line.receive()
            assert message is not None
            assert "error" not in message, message
            if message.get("method") != "presentation.progress":
                line.notifications.append(message)
            elif (message["params"]["step"], message["params"]["request"]) == (step, request):
                return

    def tap(self, string: bytes, *, simulated: bool = True) -> None:
        """A phone gives its string."""
        evidence = {"string": string, "profile": b"simulator/1"}
        self.desk.report(
            "nfc",
            Presented(
                id=str(uuid.uuid4()),
                medium="apcv-nfc",
                reader=NFC_READER.id,
                at=time.time(),
                evidence=evidence,
                simulated=simulated,
            ),
        )

    async def read(self, line: Line, string: bytes, **params: Any) -> Json:
        """A request and a tap; the whole answer."""
        request = await self.ask(line, **params)
        self.tap(string)
        return await line.answer(request)

    async def claims(self, line: Line, string: bytes, **params: Any) -> Json:
        answer = await self.read(line, string, **params)
        assert "result" in answer, answer
        return dict(answer["result"]["claims"])

    async def refusal(self, line: Line, string: bytes, **params: Any) -> Json:
        answer = await self.read(line, string, **params)
        assert "error" in answer, "it should have been refused"
        return dict(answer["error"]["data"])


@pytest.fixture
def counter(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> Counter:
    return Counter(tools, monkeypatch)


@pytest.fixture(scope="session")
def kinds() -> tuple[type[Counter], type[Tools]]:
    """For fixtures that live longer than a test."""
    return Counter, Tools
