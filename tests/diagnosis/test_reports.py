"""Reports that the daemon asks for, by the process that makes them: the trail, the settings, the file for support."""

import asyncio
import io
import random
import sqlite3
import subprocess
import sys
import zipfile
from base64 import b64decode
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.posix import open_unix_connection
from vitale_protocol.methods import AuditVerified, BundleMade, ConfigChecked, Diagnosed, Station, StationInfo
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.diagnostics import Diagnostics, Question, Task
from vitale_reader.daemon.log_output import FILE
from vitale_reader.diagnosis import packing
from vitale_reader.diagnosis.__main__ import answer
from vitale_reader.home import Endpoints, Home, TlsEndpoint

pytestmark = pytest.mark.posix

CONFIG = '[station]\nmode = "simulated"\n[drivers]\nenabled = []\n[tls]\nport = 0\n'
STATION = StationInfo(
    station=Station(id="x", name="Desk", version="1", mode="simulated"), media=(), drivers=(), uptime=1
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A station that was started once, and has a line in its trail."""
    home = Home.under(tmp_path / "home")
    home.config.parent.mkdir(parents=True)
    home.config.write_text(CONFIG)
    home.config.chmod(0o600)

    async def once() -> None:
        async with running(home, parse(CONFIG)) as endpoints:
            reader, writer = await open_unix_connection(str(endpoints.unix))
            opening = {"protocol": [1], "client": {"name": "test"}}
            call = {"jsonrpc": "2.0", "id": 1, "method": "session.open", "params": opening}
            writer.write(msgspec.json.encode(call) + b"\n")
            assert b'"result"' in await reader.readline()
            writer.close()

    asyncio.run(once())
    return home


def asked(home: Home, task: Task) -> bytes:
    question = Question(
        task=task,
        config=str(home.config),
        state=str(home.state),
        run=str(home.run),
        language="en",
        station=STATION,
        readers=(),
    )
    return answer(msgspec.json.encode(question))


def trail(home: Home) -> AuditVerified:
    return msgspec.json.decode(asked(home, "trail"), type=AuditVerified)


def settings(home: Home) -> ConfigChecked:
    return msgspec.json.decode(asked(home, "settings"), type=ConfigChecked)


def bundle(home: Home) -> BundleMade:
    return msgspec.json.decode(asked(home, "bundle"), type=BundleMade)


def test_a_trail_that_nobody_touched_is_whole(home: Home) -> None:
    found = trail(home)
    assert (True, (), None) == (found.whole, found.faults, found.problem)
    (chain,) = found.chains
    assert chain.rows > 0
    assert (None, None) == (chain.broken, chain.row)


def test_a_line_that_was_changed_is_told_with_its_number(home: Home) -> None:
    with closing(sqlite3.connect(home.state / "store.db")) as store, store:
        (table,) = store.execute(
            "select name from sqlite_master where name like 'audit%' and sql like '%outcome%'"
        ).fetchone()
        store.execute(f"update {table} set outcome = 'other' where rowid = (select min(rowid) from {table})")  # noqa: S608
    found = trail(home)
    assert not found.whole
    assert ["changed"] == [chain.broken for chain in found.chains]
    assert [1] == [chain.row for chain in found.chains]


def test_a_store_that_is_not_there_is_a_problem_with_a_remedy(tmp_path: Path) -> None:
    found = trail(Home.under(tmp_path))
    assert not found.whole
    assert found.problem is not None
    assert found.problem.remedy


def test_settings_that_can_be_used_are_shown_with_their_secrets_masked(home: Home) -> None:
    home.config.write_text(CONFIG + '[apcv.options]\npassword = "pass-canary"\n')
    found = settings(home)
    assert (str(home.config), True, False) == (found.path, found.exists, found.readable_by_others)
    assert found.settings is not None
    assert "simulated" == found.settings["station"]["mode"]
    assert "pass-canary" not in repr(found.settings)


@pytest.mark.parametrize(
    ("text", "detail"), [("[station]\nmode = 'nonsense'", "mode"), ("nonsense", "key"), ("[tls]\nport = -1", "port")]
)
def test_a_mistake_in_the_settings_is_told_with_its_place(home: Home, text: str, detail: str) -> None:
    home.config.write_text(text)
    found = settings(home)
    assert found.problem is not None
    assert ("configuration", "wrong") == (found.problem.subject, found.problem.state)
    assert detail in found.problem.detail
    assert found.problem.remedy


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    found = settings(Home.under(tmp_path))
    assert not found.exists
    assert found.settings is not None


def test_the_port_that_is_told_is_the_one_that_the_daemon_has(home: Home) -> None:
    """`serve --tls-port`, any free port, and settings that were changed since the start."""
    running_there = Endpoints(pid=1, version="1", tls=TlsEndpoint(host="127.0.0.1", port=54_321, sha256="x"))
    for text in (CONFIG, CONFIG.replace("port = 0", "port = 7816")):
        home.config.write_text(text)
        home.endpoints_file.write_bytes(msgspec.json.encode(running_there))
        rows = msgspec.json.decode(asked(home, "report"), type=Diagnosed).findings
        assert ["Port 54321 is held by the daemon of this desk"] == [row.title for row in rows if "Port" in row.title]


def test_the_file_for_support_is_a_zip_whose_files_are_told(home: Home) -> None:
    found = bundle(home)
    with zipfile.ZipFile(io.BytesIO(b64decode(found.zip_b64))) as archive:
        assert [(each.filename, each.file_size) for each in archive.infolist()] == [
            (each.name, each.size) for each in found.files
        ]
    assert found.complete
    assert {"report", "findings", "configuration", "versions"} <= {each.kind for each in found.files}


def test_a_log_that_is_too_long_is_cut_at_its_beginning(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MOST_PACKED", 40_000)
    letters = random.Random(1)
    lines = [f"2026-11-29T12:00:00.000Z INFO    a: {letters.getrandbits(60):x}" for _ in range(20_000)]
    (home.state / FILE).write_text("\n".join(lines))
    found = bundle(home)
    assert not found.complete
    assert len(b64decode(found.zip_b64)) <= 40_000
    with zipfile.ZipFile(io.BytesIO(b64decode(found.zip_b64))) as archive:
        assert archive.read(f"log/{FILE}").decode().endswith(lines[-1])


def test_the_daemon_asks_a_process_of_its_own(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitale_reader.daemon.diagnostics.LIMIT", 300.0)  # the machine may be busy

    async def main() -> None:
        diagnostics = Diagnostics(home)
        report, whole = await asyncio.gather(diagnostics.report(STATION, (), "fr"), diagnostics.trail(STATION, "fr"))
        assert isinstance(report, Diagnosed)
        assert whole.whole

    asyncio.run(main())


@pytest.mark.parametrize("turns", [1, 2, 3, 4])
def test_a_report_that_is_being_made_does_not_keep_the_loop_from_its_end(home: Home, turns: int) -> None:
    async def main() -> "asyncio.Task[Diagnosed]":
        asked = asyncio.create_task(Diagnostics(home).report(STATION, (), "fr"))
        for _ in range(turns):  # of the loop, in which the process is begun
            await asyncio.sleep(0)
        return asked

    assert asyncio.run(main()).cancelled()


#: A process in which the table of the installation's folders is filled slowly, as on a busy machine.
SLOW_TABLE = """
import sys, sysconfig, time
from concurrent.futures import ThreadPoolExecutor
from vitale_reader.diagnosis import __main__ as diagnosis
from vitale_reader.web.native import declaring
fill = sysconfig._init_posix
sysconfig._init_posix = lambda table: (time.sleep(0.5), fill(table))
look = diagnosis.examine.__globals__["browsers"].look
def of_two(*asked):
    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(sysconfig.get_path, "scripts", "posix_user") for _ in range(2)]:
            one.result()
    return look(*asked)
diagnosis.examine.__globals__["browsers"].look = of_two
diagnosis.main()
"""


@pytest.mark.posix
def test_checks_that_run_at_once_find_the_table_of_folders_filled(home: Home) -> None:
    question = Question(
        task="report",
        config=str(home.config),
        state=str(home.state),
        run=str(home.run),
        language="fr",
        station=STATION,
        readers=(),
    )
    done = subprocess.run(
        (sys.executable, "-P", "-c", SLOW_TABLE), input=msgspec.json.encode(question), capture_output=True, check=False
    )
    assert (0, b"") == (done.returncode, done.stderr)
