"""The devices that tests share: a private PC/SC service for the whole run, and simulated cards in its slots."""

import ctypes
import gc
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Dialect, Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

from tests.postgres_server import PostgresServer
from tests.rig.proxy import Proxy
from tests.warm_interpreter import WarmInterpreter
from vitale_firmware_sim.card.card import Card, VirtualCard
from vitale_firmware_sim.card.faults import FaultyCard, parse_faults
from vitale_firmware_sim.card.images import DEFAULT_IMAGE, load_image
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_firmware_sim.card.vpcd import VpcdLink
from vitale_protocol.errors import ReaderUnavailable, ToolMissing
from vitale_reader.cli.frame import language
from vitale_reader.daemon.process import PR_SET_CHILD_SUBREAPER, adopts

InsertCard = Callable[..., VpcdLink]

# A property is no slower than the machine that tries it: no value has a deadline, and drawing them has none.
# For `--hypothesis-profile search`: other values each time.
_PATIENT = (*settings().suppress_health_check, HealthCheck.too_slow)
settings.register_profile("search", settings(), max_examples=500, deadline=None, suppress_health_check=_PATIENT)
# The same values each time: what fails, fails for whoever changes it, and not by chance for somebody else.
settings.register_profile(
    "suite",
    settings(),
    max_examples=30,
    deadline=None,
    suppress_health_check=_PATIENT,
    derandomize=True,
    database=None,
)
settings.load_profile("suite")
# For `make test-quick`: between two changes of the same line, some values are enough.
settings.register_profile("quick", settings(), max_examples=15)

TESTS = Path(__file__).parent
#: Rooms whose tests execute programs as people and packages do.
EXECUTING_ROOMS = {"examples", "house", "platforms", "service"}

_DIRECTORY = pytest.StashKey[Path]()
READERS = ("Virtual PCD",)

#: The path of a Unix socket has room for 108 bytes, and the names of users and tests stand in it as well.
LONGEST_TMPDIR = 12
SHORT_TMPDIR = "/tmp"

POSIX_FIXTURES = {"pcsc_service", "postgres", "site_database", "empty_database", "counter"}
POSIX_ROOMS = {"benchmarks", "end_to_end", "examples"}

#: Objects after which garbage is looked for, instead of 700.
COLLECTED_AFTER = 10_000

#: Compiled statements that are kept for a kind of database: more than all tests have.
STATEMENTS = 5_000

#: Rooms with files that take long: begun first, so that none is left for one process while the others are done.
#: What is first of all is taken from no process: it has interpreters of its own, and loads them once.
LONG_FIRST = ("platforms", "end_to_end", "rig", "daemon", "cli", "examples", "drivers", "benchmarks", "house")


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """English at the beginning of each test, whatever a command of the one before was asked in."""
    former = language.language()
    language.use("en")
    yield
    language.use(former)


@pytest.fixture(autouse=True)
def _adopts_nobody() -> Iterator[None]:
    """A daemon that ran in this process had it adopt orphans: the next would take what tests start for a driver's."""
    yield
    if sys.platform == "linux" and adopts():
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def pytest_configure(config: pytest.Config) -> None:
    """Points libpcsclite at the run's own service, whether or not a test starts it: never at the machine's.

    libpcsclite looks at the variable once for a process, therefore one service serves the whole run. The folder is not
    one of pytest's: the path of a Unix socket has room for 108 bytes.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # Under nohup, and on some machines that run tests. Programs that the tests start would ignore it as well.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) == signal.SIG_IGN:
        # The run itself goes on as under nohup; a handler, unlike "ignore", is not handed on to other programs.
        signal.signal(hang_up, lambda _number, _frame: None)
    _shorten_paths()
    _bypass_proxies()
    _begin_elsewhere(config)
    directory = Path(tempfile.mkdtemp(prefix="vitale-pcscd-"))
    config.stash[_DIRECTORY] = directory
    os.environ.update(PcscService(directory, READERS).environment)


def _shorten_paths() -> None:
    """Has temporary files made in /tmp where TMPDIR is so long that sockets in its folders could not be bound."""
    if len(tempfile.gettempdir()) > LONGEST_TMPDIR and os.access(SHORT_TMPDIR, os.W_OK):
        # Also for the processes that share the tests, and for the programs that they start.
        os.environ["TMPDIR"] = tempfile.tempdir = SHORT_TMPDIR


def _begin_elsewhere(config: pytest.Config) -> None:
    """Has each of the processes that share the tests load others first: what one has compiled, the rest find."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        files = sorted(map(str, TESTS.rglob("test_*.py")))
        first = len(files) * int(worker.removeprefix("gw")) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        config.args = [*files[first:], *files[:first]]


def _bypass_proxies() -> None:
    """Keeps a proxy of the machine out of the way to the servers that the tests start."""
    for name in ("no_proxy", "NO_PROXY"):
        others = filter(None, (os.environ.get(name),))
        os.environ[name] = ",".join((*others, "localhost", "127.0.0.1", "::1"))


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_DIRECTORY])


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keeps the collector of garbage from walking, over and over, through thousands of tests that all stay.

    Afterwards it looks less often than by itself: that takes a tenth of what the tests of this process do.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(COLLECTED_AFTER)
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what ``-m`` does not name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs POSIX by what it asks for, and the rooms whose daemons are asked on their Unix sockets.

    Puts first what takes long, in the same order in each process.
    """
    rooms = {path: path.relative_to(TESTS).parts for path in {item.path for item in items}}
    ranks = {room: rank for rank, room in enumerate(LONG_FIRST)}
    places = {path: (ranks.get(parts[0], len(LONG_FIRST)), parts) for path, parts in rooms.items()}
    items.sort(key=lambda item: places[item.path])
    posix = {path for path, parts in rooms.items() if not POSIX_ROOMS.isdisjoint(parts)}
    for item in items:
        asked = item.fixturenames if isinstance(item, pytest.Function) else ()
        callspec = getattr(item, "callspec", None)
        kinds = (
            {kind for kind in callspec.params.values() if isinstance(kind, str)} if callspec is not None else set[str]()
        )
        if item.path in posix or not POSIX_FIXTURES.isdisjoint(asked) or "postgresql" in kinds:
            item.add_marker(pytest.mark.posix)


@pytest.fixture
def pcsc_service(pytestconfig: pytest.Config) -> Iterator[PcscService]:
    """A private pcscd, running, with the reader "Virtual PCD" of two slots. A test may kill or restart it.

    A new one for each test, which takes some 10 ms: a card that was withdrawn is seen by pcscd up to 400 ms later only,
    and would lie in the slot of the next test.
    """
    service = PcscService(pytestconfig.stash[_DIRECTORY], READERS)
    try:
        service.start()
    except ToolMissing as missing:
        pytest.skip(f"{missing.detail}: {missing.data['remedy']}")
    except ReaderUnavailable as unavailable:
        if unavailable.data.get("refused") != "namespace":
            raise
        pytest.skip(str(unavailable.detail))
    yield service
    service.kill()


@pytest.fixture
def virtual_card(pcsc_service: PcscService) -> Iterator[InsertCard]:
    """Inserts simulated cards: ``virtual_card(image="famille", faults="slow=20", slot=1)`` gives the inserted link.

    ``card`` is a card of the test's own instead of an image with faults.
    """
    links: list[VpcdLink] = []

    def insert(
        image: str = DEFAULT_IMAGE, faults: str = "", slot: int = 0, card: VirtualCard | None = None
    ) -> VpcdLink:
        inserted = card or FaultyCard(Card(load_image(image)), parse_faults(faults))
        link = VpcdLink(inserted, port=pcsc_service.ports[slot])
        links.append(link)
        link.insert()
        return link

    yield insert
    for link in links:
        link.close()


@pytest.fixture(scope="session")
def interpreter() -> Iterator[WarmInterpreter]:
    """Starts programs of the product, loaded once."""
    with WarmInterpreter() as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def _programs_are_forked(request: pytest.FixtureRequest, interpreter: WarmInterpreter) -> Iterator[None]:
    """Forks programs of the product, but for modules of tests that are marked ``executes``: it takes a tenth."""
    module: pytest.Module = request.node
    if module.get_closest_marker("executes") is not None or module.path.relative_to(TESTS).parts[0] in EXECUTING_ROOMS:
        yield
    else:
        with interpreter.instead():
            yield


# ── files of SQLite ──────────────────────────────────────────────────────────────────────────────────────────────

#: Seconds that a thread of a store, which was not waited for, has to close its file.
CLOSED_IN = 20.0
#: Frames that say where one was opened.
NEAREST = 20

_opened: list[tuple[sqlite3.Connection, traceback.StackSummary]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "sqlite3.connect/handle":
        (connection,) = arguments
        assert isinstance(connection, sqlite3.Connection)
        _opened.append(
            (connection, traceback.StackSummary.extract(traceback.walk_stack(None), limit=NEAREST, lookup_lines=False))
        )


sys.addaudithook(_note)


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


@pytest.fixture(autouse=True)
def databases_are_closed() -> Iterator[None]:
    """Fails the test that leaves a file of SQLite open, at once and on every Python.

    From Python 3.13 on there is a warning as well. It comes where the collector finds the connection: in a test of
    another file, minutes later. A thread that is about to close one has time to: what nobody closes stays open.
    """
    _opened.clear()
    yield
    end, pause = time.monotonic() + CLOSED_IN, threading.Event()
    while any(_is_open(connection) for connection, _ in _opened) and time.monotonic() < end:
        pause.wait(0.01)
    left = ["".join(place.format()) for connection, place in _opened if _is_open(connection)]
    _opened.clear()
    assert not left, "opened here and never closed:\n" + "\n".join(left)


# ── compiled statements ──────────────────────────────────────────────────────────────────────────────────────────────


_compiled: dict[type[Dialect], LRUCache[Any, Any]] = defaultdict(lambda: LRUCache(STATEMENTS))


def _compiled_of(engine: Engine) -> LRUCache[Any, Any]:
    return _compiled[type(engine.dialect)]


def _keep_none(_engine: Engine, _own: object) -> None:
    """Keeps nothing: an engine has what all have."""


def _is_same(one: Dialect, other: object) -> bool:
    return type(one) is type(other)


def _hash(one: Dialect) -> int:
    return hash(type(one))


@pytest.fixture(scope="session", autouse=True)
def _statements_are_compiled_once() -> Iterator[None]:
    """Shares compiled statements between databases of one kind: each daemon in this process would compile all anew.

    SQLAlchemy keeps them for each engine, by its dialect.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Engine, "_compiled_cache", property(_compiled_of, _keep_none), raising=False)
        patched.setattr(DefaultDialect, "__eq__", _is_same)
        patched.setattr(DefaultDialect, "__hash__", _hash)
        yield


# ── the database of a site ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL, running; a test that stops it starts it again."""
    programs = PostgresServer.installed()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    server = PostgresServer(programs)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def site_database(postgres: PostgresServer) -> Iterator[str]:
    """A database of a site, with its tables and nothing in them: its URL, with the password in it."""
    name = postgres.lend_database()
    yield postgres.url(name)
    postgres.take_back(name)


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[str]:
    """An empty database for the first start of a site: its URL, with the password in it."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
def line(postgres: PostgresServer) -> Iterator[Proxy]:
    """A line to the PostgreSQL of the run, in no mood yet."""
    with Proxy(postgres.folder / ".s.PGSQL.5432") as proxy:
        yield proxy
