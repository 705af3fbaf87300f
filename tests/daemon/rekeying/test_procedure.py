"""A site takes a new key, desk by desk, by the command that people type; wherever it is interrupted, it goes on."""

# The files of the keys are looked at one by one.
# pyright: reportPrivateUsage=false

import asyncio
import errno
import json
import os
import sqlite3
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from tests.posix import OWN_DOOR, open_unix_connection
from tests.postgres_server import PostgresServer
from vitale_protocol.errors import ConfigurationInvalid, LocalMisuse, StoreUnavailable
from vitale_reader.cli.root import root
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.issuing.replay import Closed
from vitale_reader.daemon.keystore.station_keys import DeskClock
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.rekeying import procedure
from vitale_reader.daemon.rekeying.resealing import Resealed
from vitale_reader.daemon.site.open_store import open_keys
from vitale_reader.home import Endpoints, Home

pytestmark = [pytest.mark.posix, pytest.mark.usefixtures("patient")]

Json = dict[str, Any]
SETTINGS = f'[station]\nmode = "simulated"\n[drivers]\nenabled = []\n{OWN_DOOR}'
OTHER_KEY = "b" * 43 + "=\n"


class Site:
    """Two desks, each with the key in a file of its own."""

    def __init__(self, folder: Path, database: str, postgres: PostgresServer) -> None:
        self._folder = folder
        self._database = database
        self._postgres = postgres
        self.settings = SETTINGS

    def home(self, name: str) -> Home:
        home = Home.under(self._folder / name)
        if not home.config.exists():
            home.config.parent.mkdir()
            home.config.touch(mode=0o600)
            home.config.write_text(f'store = "{self._database}"\n{self.settings}', "utf-8")
        return home

    def key(self, name: str) -> Path:
        return self.home(name).state / "site.key"

    def carry(self, source: Path, name: str) -> Path:
        """A copy of a key, as an installer carries it."""
        file = self._folder / f"carried to {name}"
        file.touch(mode=0o600)
        file.write_bytes(source.read_bytes())
        return file

    def run(self, *names: str, work: Callable[..., Any]) -> Any:
        """Starts these desks, does the work with their endpoints, and stops them."""

        async def main() -> Any:
            async with AsyncExitStack() as stack:
                homes = map(self.home, names)
                desks = [running(home, parse(home.config.read_text("utf-8"))) for home in homes]
                return await work(*[await stack.enter_async_context(desk) for desk in desks])

        return asyncio.run(main())

    def command(self, name: str, *words: str) -> tuple[int, str]:
        done = CliRunner().invoke(root, [*words, "--home", str(self.home(name).config.parent)])
        return done.exit_code, done.output

    def cut(self, name: str, *words: str) -> None:
        """Has a command fail, and its sessions end as those of a process that died."""
        assert self.command(name, *words)[0] != 0
        self._postgres.end_sessions(str(make_url(self._database).database))

    def rekey(self, name: str, *words: str) -> Json:
        status, said = self.command(name, "site", "rekey", *words, "--json")
        assert status == 0, said
        return dict(json.loads(said))


async def call(endpoints: Endpoints, method: str, credential: str | None = None, **params: object) -> Json:
    """The answer to one call, in a session of its own."""
    assert endpoints.unix is not None
    reader, writer = await open_unix_connection(endpoints.unix)
    named = {} if credential is None else {"credential": credential}
    opening: Json = {"protocol": [1], "client": {"name": "test"}} | named
    answer: Json = {}
    for number, (name, values) in enumerate((("session.open", opening), (method, params))):
        writer.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": name, "params": values}).encode() + b"\n")
        while (answer := json.loads(await reader.readline())).get("id") != number:
            pass
        if "error" in answer:
            break
    writer.close()
    await writer.wait_closed()
    return answer


def pair() -> Json:
    return {"name": "test", "scopes": ["identity"], "transports": ["unix"]}


@pytest.fixture
def site(tmp_path: Path, site_database: str, postgres: PostgresServer) -> Site:
    return Site(tmp_path, site_database, postgres)


def used(site: Site) -> tuple[str, str, str]:
    """A site of two desks in which something happened: the credentials of a client and a revoked one, a token."""

    async def begin(_: Endpoints) -> None:
        site.home("right").state.mkdir(parents=True, mode=0o700)
        key = site.key("right")
        key.touch(mode=0o600)
        key.write_bytes(site.key("left").read_bytes())

    async def work(left: Endpoints, right: Endpoints) -> tuple[str, str, str]:
        good, bad = [(await call(left, "clients.add", **pair()))["result"] for _ in range(2)]
        assert (await call(left, "clients.revoke", client_id=bad["client_id"]))["result"]["revoked"]
        assert right.unix is not None
        code = {"nonce": "n" * 22, "payload": "VITALESIM.abc"}
        given = await call(left, "presentation.submit", good["credential"], **code)
        return str(good["credential"]), str(bad["credential"]), str(given["result"]["token"])

    site.run("left", work=begin)
    credentials: tuple[str, str, str] = site.run("left", "right", work=work)
    return credentials


def hold(site: Site, credential: str, revoked: str, token: str) -> None:
    """Everything is as it was, at either desk, and the trail whole."""

    async def work(left: Endpoints, right: Endpoints) -> None:
        for desk in (left, right):
            (listed,) = (await call(desk, "outbox.list", credential))["result"]["tokens"]
            assert listed["token"] == token
            assert (await call(desk, "session.ping", revoked))["error"]["data"]["reason"] == "not_authenticated"

    site.run("left", "right", work=work)
    for name in ("left", "right"):
        assert site.command(name, "audit", "verify")[0] == 0


def test_a_site_takes_a_new_key_and_the_former_one_opens_nothing(site: Site) -> None:
    credential, revoked, token = used(site)
    former = site.key("left").read_bytes()
    done = site.rekey("left")
    assert (done["began"], done["resealed"]["clients"], done["resealed"]["tokens"]) == (True, 2, 1)
    assert Path(done["former"]).read_bytes() == former
    assert site.key("left").read_bytes() != former

    async def nothing(_: Endpoints) -> None:
        raise AssertionError("it started with the former key")

    with pytest.raises(ConfigurationInvalid):
        site.run("right", work=nothing)
    assert site.rekey("right", "--key", str(site.carry(site.key("left"), "right")))["began"] is False
    assert site.key("right").read_bytes() == site.key("left").read_bytes()
    hold(site, credential, revoked, token)


@pytest.mark.parametrize("step", ["_spool", "_replace"])
def test_what_was_interrupted_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """After the database was resealed; before that, nothing was done but a file made."""
    kept = used(site)
    for name in ("left", "right"):
        words = () if name == "left" else ("--key", str(site.carry(site.key("left"), "right")))
        with monkeypatch.context() as patch:

            def cut(*_: object) -> None:
                raise KeyboardInterrupt

            patch.setattr(procedure, step, cut)
            site.cut(name, "site", "rekey", *words)
        site.rekey(name, *words)
    hold(site, *kept)


def test_what_is_begun_on_a_full_disk_is_told_and_goes_on_once_there_is_room(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = used(site)
    full = OSError(errno.ENOSPC, "no space left")
    steps: list[tuple[object, str, Exception]] = [
        (os, "fsync", full),  # of the new key
        (procedure, "_spool", StoreUnavailable("it is full", variant="file-full")),
        (procedure, "_replace", full),
    ]
    for place, name, error in steps:
        with monkeypatch.context() as patch:
            patch.setattr(place, name, Mock(side_effect=error))
            status, said = site.command("left", "site", "rekey", "--language", "en")
        assert status != 0
        assert "disk" in said
        begun = name != "fsync"
        assert begun == ("run `site rekey` again" in said)
        assert begun == site.key("left").with_name("site.key.new").exists()

    async def nothing(_: Endpoints) -> None:
        raise AssertionError("it started with the former key")

    with pytest.raises(ConfigurationInvalid, match="site rekey"):
        site.run("left", work=nothing)
    site.rekey("left")
    site.rekey("right", "--key", str(site.carry(site.key("left"), "right")))
    hold(site, *kept)


def test_what_failed_within_the_database_changed_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = used(site)
    with monkeypatch.context() as patch:

        def cut(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(procedure, "_noted", cut)
        site.cut("left", "site", "rekey")
    hold(site, *kept)
    site.rekey("left")
    site.rekey("right", "--key", str(site.carry(site.key("left"), "right")))
    hold(site, *kept)


def test_what_waits_in_the_spool_is_taken_over(site: Site, postgres: PostgresServer) -> None:
    kept = used(site)
    with closing(sqlite3.connect(site.home("right").state / "spool.db")) as spool, spool:
        spool.execute("INSERT INTO site (name, value) VALUES ('ack:another', 'client')")
    site.rekey("left")
    site.rekey("right", "--key", str(site.carry(site.key("left"), "right")))
    with closing(sqlite3.connect(site.home("right").state / "spool.db")) as spool:
        names = [name for (name,) in spool.execute("SELECT name FROM site")]
    assert "ack:another" in names, "a note without a seal stays as it is"
    hold(site, *kept)
    assert postgres is not None


@pytest.mark.parametrize("language", ["fr", "en"])
def test_while_a_desk_serves_it_is_refused(site: Site, language: str, site_database: str) -> None:
    used(site)

    async def work(_: Endpoints) -> tuple[int, str]:
        with psycopg.connect(site_database) as hand:  # as of one that is stopped, and so says nothing
            hand.execute("DELETE FROM site_desks")
        return await asyncio.to_thread(site.command, "right", "site", "rekey", "--language", language)

    status, said = site.run("left", work=work)
    assert status != 0
    assert "serve still" in said
    assert open_keys(site.home("left"), parse(""), clock=DeskClock(lambda: 0.0)).station in said
    assert site.command("left", "audit", "verify")[0] == 0


def test_a_database_that_somebody_changed_is_refused(site: Site, postgres: PostgresServer, site_database: str) -> None:
    kept = used(site)
    database = str(make_url(site_database).database)
    postgres.execute("UPDATE clients SET scopes = 'identity nir'", database)
    assert site.command("left", "site", "rekey")[0] != 0
    postgres.execute("UPDATE clients SET scopes = 'identity'", database)
    hold(site, *kept)


def test_a_key_of_another_site_is_refused(site: Site, tmp_path: Path) -> None:
    kept = used(site)
    site.rekey("left")
    other = tmp_path / "other.key"
    other.touch(mode=0o600)
    other.write_text(OTHER_KEY)
    status, said = site.command("right", "site", "rekey", "--key", str(other))
    assert status != 0
    assert "another site key" in said
    site.rekey("right", "--key", str(site.carry(site.key("left"), "right")))
    hold(site, *kept)


def test_both_languages_say_what_is_to_do(site: Site) -> None:
    used(site)
    status, french = site.command("left", "site", "rekey", "--language", "fr")
    assert status == 0
    assert "À chaque autre poste" in french
    assert "aucune apCV n’est acceptée avant" in french
    file = str(site.carry(site.key("left"), "right"))
    status, english = site.command("right", "site", "rekey", "--key", file, "--language", "en")
    assert status == 0
    assert "Former key, kept as" in english
    assert "no apCV is taken before" in english


# ── used strings, which nobody can know under another key ──


async def submitted(desk: Endpoints, credential: str, payload: str) -> Json:
    answer = await call(desk, "presentation.submit", credential, nonce="m" * 22, payload=payload)
    return dict(answer.get("error", answer)["data"] if "error" in answer else {"reason": "given"})


def test_no_string_of_before_is_taken_again_at_any_desk(site: Site) -> None:
    credential, _, _ = used(site)  # VITALESIM.abc was used
    done = site.rekey("left")
    other = site.rekey("right", "--key", str(site.carry(site.key("left"), "right")))
    assert done["closed_until"] == other["closed_until"]
    assert abs(done["closed_until"] - time.time() - 3_600) < 300

    async def work(left: Endpoints, right: Endpoints) -> None:
        for desk in (left, right):
            for payload in ("VITALESIM.abc", "VITALESIM.new"):
                told = await submitted(desk, credential, payload)
                assert ("replayed", "rekeyed") == (told["reason"], told["variant"])

    site.run("left", "right", work=work)


def test_strings_are_taken_again_when_those_of_before_have_ended(site: Site) -> None:
    credential, _, _ = used(site)
    assert site.rekey("left", "--apcv-after", "0")["closed_until"] == 0

    async def work(left: Endpoints) -> None:
        assert await submitted(left, credential, "VITALESIM.new") == {"reason": "given"}

    site.run("left", work=work)


def test_a_desk_whose_database_is_away_takes_no_string_of_before_either(
    site: Site, postgres: PostgresServer, site_database: str
) -> None:
    site.settings += '[site]\nwhen_away = "degraded"\n'
    credential, _, _ = used(site)
    site.rekey("left")

    name = str(make_url(site_database).database)

    async def work(left: Endpoints) -> None:
        postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres.end_sessions(name)
        try:
            told = await submitted(left, credential, "VITALESIM.abc")
            assert ("replayed", "rekeyed") == (told["reason"], told["variant"])
        finally:
            postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    site.run("left", work=work)


# ── the files of the keys ──


def key_of(folder: Path, name: str, byte: bytes) -> Path:
    file = folder / name
    file.touch(mode=0o600)
    file.write_bytes(urlsafe_b64encode(byte * 32) + b"\n")
    return file


def test_of_two_new_keys_the_first_that_was_begun_counts(tmp_path: Path) -> None:
    file = key_of(tmp_path, "site.key", b"a")
    first, second = key_of(tmp_path, "first", b"b"), key_of(tmp_path, "second", b"c")
    for _ in range(2):
        assert first.read_bytes() == procedure._new_key(file, first).read_bytes()
    with pytest.raises(LocalMisuse, match="another new key"):
        procedure._new_key(file, second)
    assert first.read_bytes() == (tmp_path / "site.key.new").read_bytes()


def test_the_former_key_is_kept_and_none_is_replaced_by_itself(tmp_path: Path) -> None:
    file, new = key_of(tmp_path, "site.key", b"a"), key_of(tmp_path, "site.key.new", b"b")
    former = procedure._replace(file, new, 1_800_000_000.0)
    assert urlsafe_b64encode(b"a" * 32) == Path(former).read_bytes().strip()
    assert "" == procedure._replace(file, key_of(tmp_path, "site.key.new", b"b"), 1_800_000_000.0)
    assert {"site.key", Path(former).name} == {one.name for one in tmp_path.iterdir()}


def test_a_desk_that_was_never_cut_off_has_no_spool(tmp_path: Path) -> None:
    keys = Vault.of_site(b"a" * 32), Vault.of_site(b"b" * 32)
    assert Resealed() == procedure._spool(Home.under(tmp_path), *keys, Closed(0.0, "rekeyed"))


def test_a_key_of_another_site_is_taken_back_out_of_the_way(site: Site, tmp_path: Path) -> None:
    async def nothing(_: Endpoints) -> None:
        pass

    site.run("left", work=nothing)
    site.key("left").write_bytes(key_of(tmp_path, "other", b"x").read_bytes())
    brought = str(key_of(tmp_path, "brought", b"y"))
    for words in (("--key", brought), ()):
        status, said = site.command("left", "site", "rekey", *words, "--language", "en")
        assert 0 != status
        assert "another site key" in said
        assert bool(words) != site.key("left").with_name("site.key.new").exists()
