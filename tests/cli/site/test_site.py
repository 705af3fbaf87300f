"""``vitale-reader site``: how desks are, one that leaves, a backup and what its restore closes; in both languages."""

import asyncio
import json
import sqlite3
import stat
import time
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from tests.posix import OWN_DOOR, open_unix_connection
from tests.postgres_server import PostgresServer
from vitale_protocol.errors import StoreUnavailable
from vitale_reader.cli.root import root
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.site import backup, upkeep
from vitale_reader.daemon.site.upkeep import SiteDeskState, SiteState
from vitale_reader.home import Endpoints, Home

pytestmark = pytest.mark.posix

SETTINGS = f"[drivers]\nenabled = []\n{OWN_DOOR}"

Json = dict[str, Any]

PATIENCE = 100.0


class Desks:
    """The desks of a site, or a station that is alone, each with its home."""

    def __init__(self, folder: Path, store: str) -> None:
        self._folder = folder
        self.store = store

    def home(self, name: str) -> Home:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        key = f'[site]\nkey_file = "{self._folder / "site.key"}"\n' if self.store != "sqlite" else ""
        text = f'store = "{self.store}"\n[station]\nname = "{name}"\n{SETTINGS}{key}'
        (folder / "config.toml").write_text(text, "utf-8")
        (folder / "config.toml").chmod(0o600)
        return Home.under(folder)

    def serving(self, name: str) -> Any:
        home = self.home(name)
        return running(home, parse(home.config.read_text("utf-8")))

    def run(self, *names: str, work: "Callable[[list[Endpoints]], Any] | None" = None) -> Any:
        """Starts these desks, does the work, and stops them."""

        async def main() -> Any:
            async with AsyncExitStack() as stack:
                endpoints = [await stack.enter_async_context(self.serving(name)) for name in names]
                return await work(endpoints) if work is not None else None

        return asyncio.run(main())

    def command(self, name: str, *arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(root, [*arguments, "--home", str(self._folder / name)])
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        return done.exit_code, done.output

    def answer(self, name: str, *arguments: str) -> Json:
        status, said = self.command(name, *arguments, "--json")
        assert 0 == status, said
        return dict(json.loads(said))


async def call(endpoints: Endpoints, *calls: tuple[str, Json]) -> list[Json]:
    """The answers of one session of the daemon's own user."""
    assert endpoints.unix is not None
    reader, writer = await open_unix_connection(endpoints.unix)
    answers: list[Json] = []
    opening = ("session.open", {"protocol": [1], "client": {"name": "test", "version": "1"}})
    for number, (method, params) in enumerate((opening, *calls)):
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        writer.write(json.dumps(message).encode() + b"\n")
        while (answer := json.loads(await reader.readline())).get("id") != number:
            pass
        answers.append(answer)
    writer.close()
    await writer.wait_closed()
    return answers[1:]


def add(name: str) -> tuple[str, Json]:
    return "clients.add", {"name": name, "scopes": ["identity"], "transports": ["unix"]}


@pytest.fixture
def site(tmp_path: Path, site_database: str) -> Desks:
    return Desks(tmp_path, site_database)


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Desks:
    store = "sqlite" if request.param == "sqlite" else request.getfixturevalue("site_database")
    return Desks(tmp_path, store)


@pytest.fixture
def long_lived(monkeypatch: pytest.MonkeyPatch) -> None:
    """A desk that serves does so until it stops, however late its next word comes on a busy machine."""
    monkeypatch.setattr(upkeep, "LOST", 3_600.0)


# ── status ──


@pytest.mark.usefixtures("long_lived")
def test_how_the_desks_are(site: Desks) -> None:
    def look(language: str) -> Json:
        told = site.answer("left", "site", "status", "--language", language)
        words = site.command("left", "site", "status", "--language", language)
        return told | {"said": words[1]}

    async def work(endpoints: list[Endpoints]) -> list[Json]:
        for desk in endpoints:
            await call(desk)
        async with asyncio.timeout(PATIENCE):  # audit lines are written behind the answers
            while not all(desk["last_row"] for desk in (await asyncio.to_thread(look, "fr"))["desks"]):
                pass
        return [await asyncio.to_thread(look, language) for language in ("fr", "en")]

    french, english = site.run("left", "right", work=work)
    assert ["left", "right"] == sorted(desk["name"] for desk in french["desks"])
    assert [True, True] == [desk["serves"] for desk in french["desks"]]
    assert all(abs(desk["clock_offset"]) < 5 and desk["version"] and desk["host"] for desk in french["desks"])
    assert all(desk["last_row"] >= 1 for desk in french["desks"])
    assert abs(french["clock_offset"]) < 5
    assert 0 == french["here"]["spooled"]
    assert french["here"]["station"] in {desk["station"] for desk in french["desks"]}
    assert "en service" in french["said"]
    assert "serves" in english["said"]
    stopped = site.answer("left", "site", "status")
    assert [False, False] == [desk["serves"] for desk in stopped["desks"]]


def test_a_database_that_answers_late_makes_no_clock_wrong(site: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run("left")
    looks = count()

    def time_now() -> float:
        return time.time() + 60 * next(looks)

    monkeypatch.setattr(upkeep, "time", SimpleNamespace(time=time_now))
    assert abs(site.answer("left", "site", "status")["clock_offset"]) < 5
    assert next(looks) >= 2


def test_why_a_desk_was_cut_off_is_told_as_it_recorded_it(site: Desks, postgres: PostgresServer) -> None:
    database = str(make_url(site.store).database)

    def rename(one: str, other: str) -> None:
        postgres.execute(f"ALTER TABLE {one} RENAME TO {other}", database)

    def status_when(holds: Callable[[Json], object]) -> Json:
        end = time.monotonic() + PATIENCE
        while not holds(told := site.answer("left", "site", "status")):
            assert time.monotonic() < end, told
        return told

    def left_of(told: Json) -> Json:
        return next(desk for desk in told["desks"] if desk["name"] == "left")

    def work(_: list[Endpoints]) -> tuple[Json, str, Json, str]:
        rename("site_requests", "elsewhere")
        away = status_when(lambda told: told["here"]["outage"])
        said = site.command("left", "site", "status", "--language", "en")[1]
        rename("elsewhere", "site_requests")
        back = status_when(lambda told: left_of(told)["away_until"])
        return away, said, left_of(back), site.command("right", "site", "status", "--language", "fr")[1]

    away, said, left, after = site.run("left", "right", work=lambda told: asyncio.to_thread(work, told))
    outage = away["here"]["outage"]
    assert ("database-tables", "42P01") == (outage["why"], outage["sqlstate"])
    assert abs(outage["since"] - time.time()) < 120
    assert "cut off from the database since" in said
    assert "(SQLSTATE 42P01)" in said
    assert ("database-tables", "42P01") == (left["away_why"], left["away_sqlstate"])
    assert left["away_since"] < left["away_until"]
    assert "tables" in after, "the other desk tells it as well"
    assert "coupé de la base le" in after


def test_a_desk_that_reaches_no_database_tells_what_it_knows(site: Desks, tmp_path: Path) -> None:
    site.run("left")
    config = tmp_path / "left" / "config.toml"
    config.write_text(config.read_text("utf-8").replace("host=", "host=/absent"), "utf-8")
    with closing(sqlite3.connect(tmp_path / "left" / "state" / "spool.db")) as spool, spool:
        noted = json.dumps({"since": 1_790_000_000.0, "why": "database-silent"})
        spool.execute("INSERT INTO site (name, value) VALUES ('outage', ?)", (noted,))
    status, said = site.command("left", "site", "status", "--language", "en")
    assert 1 == status
    assert "cut off from the database since 2026-09-21" in said
    assert "→" in said, "the remedy for what the database answered just now"
    status, told = site.command("left", "site", "status", "--json")
    assert 1 == status
    assert "database-silent" == json.loads(told)["here"]["outage"]["why"]
    assert "database-unreachable" == json.loads(told)["store"]["variant"]


@pytest.mark.parametrize(
    ("desk", "said"),
    [
        (SiteDeskState(station="s", name="d", seen=30.0), "d: silent for 30 s without having stopped"),
        (SiteDeskState(station="s", name="d", clock_offset=-12.4), "d: its clock is off by -12 s"),
        (SiteDeskState(station="s", name="d", away_since=1.0, away_until=36.0, away_why="no-such"), "for 35 s: "),
        (SiteDeskState(station="s", name="d", away_since=1.0, away_until=36.0), "for 35 s: reason unknown"),
        (SiteDeskState(station="s", name="d", seen=30.0, serves=True, clock_offset=4.9), ""),
    ],
)
def test_what_is_remarkable_about_a_desk(
    desk: SiteDeskState, said: str, monkeypatch: pytest.MonkeyPatch, site: Desks
) -> None:
    site.run("left")

    def state(*_: object) -> SiteState:
        return SiteState(clock_offset=0.0, desks=(desk,), removed=())

    monkeypatch.setattr(upkeep, "site_state", state)
    output = CliRunner().invoke(
        root, ["site", "status", "--language", "en", "--home", str(site.home("left").state.parent)]
    )
    assert 0 == output.exit_code
    assert said in output.stderr
    assert bool(said) == bool(output.stderr)


def test_a_station_alone_is_of_no_site(tmp_path: Path) -> None:
    desks = Desks(tmp_path, "sqlite")
    desks.run("alone")
    assert 2 == desks.command("alone", "site", "status")[0]


# ── remove ──


def test_a_removed_desk_is_heard_by_nobody_and_does_not_come_back(site: Desks) -> None:
    async def keys(endpoints: list[Endpoints]) -> set[str]:
        (answer,) = await call(endpoints[0], ("station.keys", {}))
        return {key["kid"] for key in answer["result"]["jwks"]["keys"]}

    own = site.run("left", work=keys)
    site.run("right")
    assert len(own) < len(site.run("left", work=keys)), "the keys of the other desk are believed"
    before = site.answer("left", "site", "status")
    (right,) = (desk["station"] for desk in before["desks"] if desk["name"] == "right")
    assert site.answer("left", "site", "remove", right)["known"]
    assert own == site.run("left", work=keys)
    site.run("right")  # it has the key of the site, and tells its keys again
    assert own == site.run("left", work=keys)
    assert [right] == site.answer("left", "site", "status")["removed"]


def test_a_person_is_told_which_desk_was_removed(site: Desks) -> None:
    site.run("left")
    site.run("right")
    desks = site.answer("left", "site", "status")["desks"]
    (right,) = (desk["station"] for desk in desks if desk["name"] == "right")
    status, said = site.command("left", "site", "remove", right, "--language", "en")
    assert 0 == status
    assert right in said


def test_a_desk_does_not_remove_itself(site: Desks) -> None:
    site.run("left")
    station = site.answer("left", "site", "status")["here"]["station"]
    assert 2 == site.command("left", "site", "remove", station)[0]


# ── backup and restore ──


def test_a_backup_is_private_whole_and_never_over_another(either: Desks, tmp_path: Path) -> None:
    async def work(_: list[Endpoints]) -> Json:
        return await asyncio.to_thread(either.answer, "desk", "site", "backup", str(tmp_path / "one"))

    told = either.run("desk", work=work)
    file = tmp_path / "one"
    assert (str(file), file.stat().st_size) == (told["file"], told["bytes"])
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert 2 == either.command("desk", "site", "backup", str(file))[0]
    assert ["one"] == [one.name for one in tmp_path.iterdir() if "one" in one.name]


def test_a_person_is_told_of_a_backup_and_of_what_a_restore_leaves_unknown(tmp_path: Path) -> None:
    desks = Desks(tmp_path, "sqlite")
    desks.run("desk")
    status, said = desks.command("desk", "site", "backup", str(tmp_path / "one"), "--language", "en")
    assert 0 == status
    assert f"{tmp_path / 'one'} ({(tmp_path / 'one').stat().st_size} bytes)" in said
    assert "worth nothing without the keys" in said
    restore = ("site", "restore", str(tmp_path / "one"), "--language", "en", "--reason")
    assert 2 == desks.command("desk", *restore, " ")[0]
    status, said = desks.command("desk", *restore, "a drill")
    assert 0 == status
    assert "Nobody knows" not in said
    (tmp_path / "desk" / "state" / "store.db").unlink()
    status, said = desks.command("desk", *restore, "a disk died", "--apcv-after", "0")
    assert 0 == status
    assert "Nobody knows who was revoked since" in said
    assert "Nobody knows which codes were used since" in said


def test_a_restore_closes_what_it_does_not_know(either: Desks, tmp_path: Path) -> None:
    async def pair(endpoints: list[Endpoints]) -> list[str]:
        answers = await call(endpoints[0], add("kept"), add("gone"))
        return [answer["result"]["client_id"] for answer in answers]

    kept, gone = either.run("desk", work=pair)
    either.answer("desk", "site", "backup", str(tmp_path / "one"))

    async def revoke(endpoints: list[Endpoints]) -> None:
        await call(endpoints[0], ("clients.revoke", {"client_id": gone}), add("later"))

    either.run("desk", work=revoke)
    done = either.answer("desk", "site", "restore", str(tmp_path / "one"), "--reason", "a disk died")
    assert ([gone], True) == (done["revoked"], done["revocations_known"])

    async def listed(endpoints: list[Endpoints]) -> dict[str, bool]:
        (answer,) = await call(endpoints[0], ("clients.list", {}))
        return {client["client_id"]: client.get("revoked_at") is None for client in answer["result"]["clients"]}

    assert {kept: True, gone: False} == either.run("desk", work=listed)
    trail = [json.loads(line) for line in either.command("desk", "audit", "export")[1].splitlines()]
    assert "a disk died" in {line.get("reason") for line in trail}
    assert 0 == either.command("desk", "audit", "verify")[0]


@pytest.mark.parametrize(("options", "revoked"), [((), True), (("--trust-clients",), False)])
def test_without_the_store_before_every_client_is_revoked_unless_told(
    tmp_path: Path, options: tuple[str, ...], revoked: bool
) -> None:
    desks = Desks(tmp_path, "sqlite")

    async def pair(endpoints: list[Endpoints]) -> str:
        (answer,) = await call(endpoints[0], add("one"))
        return str(answer["result"]["client_id"])

    client = desks.run("desk", work=pair)
    desks.answer("desk", "site", "backup", str(tmp_path / "one"))
    for file in (tmp_path / "desk" / "state").glob("store.db*"):
        file.unlink()
    done = desks.answer("desk", "site", "restore", str(tmp_path / "one"), "--reason", "the disk died", *options)
    assert ([client] if revoked else [], False) == (done["revoked"], done["used_known"])
    assert abs(done["closed_until"] - time.time() - 3_600) < 120, "no apCV is taken for an hour"


def store_of(desks: Desks, statement: str) -> None:
    """Changes the SQLite file of the desk, as a hand in it does."""
    with closing(sqlite3.connect(desks.home("desk").state / "store.db")) as store, store:
        store.execute(statement)


USED = "INSERT INTO seen (digest, state, expires_at) VALUES ('d', 'used', 9e9)"


@pytest.mark.parametrize(
    ("hand", "options", "seconds"),
    [
        ("", (), 0),
        (USED, (), 3_600),
        (USED, ("--apcv-after", "5"), 300),
        (USED, ("--apcv-after", "0"), 0),
    ],
    ids=["known", "a row was changed", "five minutes", "as the administrator wants"],
)
def test_strings_wait_where_nobody_knows_which_were_used(
    tmp_path: Path, hand: str, options: tuple[str, ...], seconds: int
) -> None:
    desks = Desks(tmp_path, "sqlite")
    desks.run("desk")
    desks.answer("desk", "site", "backup", str(tmp_path / "one"))
    if hand:
        store_of(desks, hand)
    arguments = ("desk", "site", "restore", str(tmp_path / "one"), "--reason", "a test", *options)
    done = desks.answer(*arguments)
    assert done["used_known"] is (not hand)
    assert 0 <= (done["closed_until"] - time.time() if seconds else done["closed_until"]) + 120 - seconds <= 120
    if hand:
        store_of(desks, hand)
        said = desks.command(*arguments, "--language", "en")[1]
        assert ("no apCV is taken before" if seconds else "apCVs are taken as you wanted") in said


def test_nothing_is_restored_under_a_daemon(either: Desks, tmp_path: Path) -> None:
    either.run("desk", "other")
    either.answer("desk", "site", "backup", str(tmp_path / "one"))

    async def work(_: list[Endpoints]) -> tuple[int, str]:
        arguments = ("site", "restore", str(tmp_path / "one"), "--reason", "x", "--json")
        return await asyncio.to_thread(either.command, "desk", *arguments)

    status, said = either.run("desk", work=work)
    assert (1, "daemon_running") == (status, json.loads(said)["error"]["reason"])


def test_nothing_is_restored_while_another_desk_serves_also_one_that_says_nothing(
    site: Desks, tmp_path: Path, postgres: PostgresServer
) -> None:
    """One that is stopped (SIGSTOP, a suspended machine) has a connection still, and no beat for long."""
    site.run("left", "right")
    site.answer("left", "site", "backup", str(tmp_path / "one"))
    restore = ("left", "site", "restore", str(tmp_path / "one"), "--reason", "x")

    def work() -> tuple[int, str]:
        postgres.execute("DELETE FROM site_desks", str(make_url(site.store).database))
        return site.command(*restore)

    status, said = site.run("right", work=lambda _: asyncio.to_thread(work))
    assert 2 == status
    assert "stop them first" in said
    assert json.loads((tmp_path / "right" / "state" / "station.json").read_text())["station"] in said
    assert 0 == site.command(*restore)[0], "it let go when it stopped"


def test_a_desk_begins_no_service_while_the_site_is_restored(
    site: Desks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run("left", "right")
    site.answer("left", "site", "backup", str(tmp_path / "one"))

    async def paired(endpoints: list[Endpoints]) -> Json:
        (answer,) = await call(endpoints[0], add("x"))
        return answer

    told: list[Json] = []
    original = backup.put_back

    @contextmanager
    def put_back(place: Path | str, file: Path) -> Generator[Path | str]:
        async def start_another() -> Json:
            async with site.serving("right") as endpoints:
                return await paired([endpoints])

        told.append(asyncio.run(start_another()))
        with original(place, file) as where:
            yield where

    monkeypatch.setattr(backup, "put_back", put_back)
    assert 0 == site.command("left", "site", "restore", str(tmp_path / "one"), "--reason", "x")[0]
    error = told[0]["error"]["data"]
    assert ("store_unavailable", "database-reserved") == (error["reason"], error["variant"])
    assert "result" in site.run("right", work=paired), "and it serves when that is done"


def test_a_restore_that_ends_in_its_middle_lets_nobody_in_who_was_not_before(
    either: Desks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the backup brings back is closed, or it is not there."""

    async def pair(endpoints: list[Endpoints]) -> list[Json]:
        return [answer["result"] for answer in await call(endpoints[0], add("kept"), add("gone"))]

    kept, gone = either.run("desk", work=pair)
    either.answer("desk", "site", "backup", str(tmp_path / "one"))
    either.run("desk", work=lambda endpoints: call(endpoints[0], ("clients.revoke", {"client_id": gone["client_id"]})))
    full = Mock(side_effect=StoreUnavailable("it is full", variant="file-full"))
    restore = ("desk", "site", "restore", str(tmp_path / "one"), "--reason", "x", "--language", "en")
    with monkeypatch.context() as patch:
        patch.setattr(backup, "restored", full)
        status, said = either.command(*restore)
    assert (1, 1) == (status, full.call_count)

    async def begin(endpoints: list[Endpoints]) -> list[Json]:
        return await call(endpoints[0], add("later"), ("clients.list", {}))

    later, listed = either.run("desk", work=begin)
    if either.store == "sqlite":
        assert "result" in later, "all is as it was"
        assert 0 == either.command("desk", "audit", "verify")[0]
    else:
        assert "before the restore is run again" in said
        assert "database-reserved" == later["error"]["data"]["variant"]
    speaking = {one["client_id"] for one in listed["result"]["clients"] if one.get("revoked_at") is None}
    assert gone["client_id"] not in speaking
    assert kept["client_id"] in speaking
    assert 0 == either.command(*restore)[0]
    assert "result" in either.run("desk", work=begin)[0]


def test_nothing_is_restored_over_a_store_that_does_not_tell_who_serves(either: Desks, tmp_path: Path) -> None:
    (paired,) = either.run("desk", work=lambda endpoints: call(endpoints[0], add("one")))
    either.answer("desk", "site", "backup", str(tmp_path / "one"))

    with ExitStack() as held:
        if either.store == "sqlite":
            file = tmp_path / "desk" / "state" / "store.db"
            held.enter_context(closing(sqlite3.connect(file, isolation_level=None))).execute("BEGIN EXCLUSIVE")
        else:
            url = make_url(either.store).set(drivername="postgresql").render_as_string(hide_password=False)
            held.enter_context(psycopg.connect(url)).execute("LOCK TABLE site_desks, clients")
        arguments = ("site", "restore", str(tmp_path / "one"), "--reason", "x", "--json")
        status, said = either.command("desk", *arguments)
    assert (1, "store_unavailable") == (status, json.loads(said)["error"]["reason"]), said

    (listed,) = either.run("desk", work=lambda endpoints: call(endpoints[0], ("clients.list", {})))
    known = {client["client_id"]: client.get("revoked_at") for client in listed["result"]["clients"]}
    assert known[paired["result"]["client_id"]] is None, "of what is slow, nothing is closed"


@pytest.mark.parametrize("content", [b"", b"no backup at all", b"SQLite format 3\0" + b"x" * 500, b"PGDMP"])
def test_what_is_no_backup_changes_nothing(either: Desks, tmp_path: Path, content: bytes) -> None:
    either.run("desk")
    before = either.command("desk", "audit", "export")[1]
    (tmp_path / "bad").write_bytes(content)
    assert 0 != either.command("desk", "site", "restore", str(tmp_path / "bad"), "--reason", "x")[0]
    assert before == either.command("desk", "audit", "export")[1]


def test_the_password_of_the_database_is_no_argument_and_in_no_error(
    site: Desks, tmp_path: Path, postgres: PostgresServer, site_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run("left")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "pg_dump").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\necho failed >&2\nexit 1\n')
    (tools / "pg_dump").chmod(0o700)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    status, said = site.command("left", "site", "backup", str(tmp_path / "one"))
    password = make_url(site_database).password or ""
    assert 1 == status
    assert password not in (tmp_path / "arguments").read_text() + said
    assert not (tmp_path / "one").exists()
