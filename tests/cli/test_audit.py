"""``vitale-reader audit`` beside a station that has written something, in French and in English."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from tests.posix import OWN_DOOR
from tests.postgres_server import PostgresServer
from vitale_reader.aio import connect
from vitale_reader.cli.audit import audit
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.exit_status import REFUSED
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.store.audit_trail import pages
from vitale_reader.home import Home

SETTINGS = f"[drivers]\nenabled = []\n{OWN_DOOR}"


def serve(folder: Path, settings: str) -> None:
    """Runs the daemon of a station, which opens a session, and stops it."""

    async def main() -> None:
        async with running(Home.under(folder), parse(settings)), connect(home=folder):
            pass

    (folder / "config.toml").write_text(settings, "utf-8")
    asyncio.run(main())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A station whose daemon opened a session, and was stopped."""
    serve(tmp_path, SETTINGS)
    return tmp_path


def invoke(home: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(audit, [*arguments, "--home", str(home)])
    return done.exit_code, done.output


def change(home: Path, statement: str) -> None:
    database = sqlite3.connect(home / "state" / "store.db")
    with database:
        database.execute(statement)
    database.close()


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The file to which the daemon of a station exported the ends of its trail."""
    file = tmp_path / "heads"
    for _ in range(2):
        serve(tmp_path, f"{SETTINGS}[audit]\nexport = ['{file}']\n")
    return file


def test_ends_that_left_the_machine_are_compared(exported: Path) -> None:
    home = exported.parent
    status, said = invoke(home, "verify", "--heads", str(exported), "--json")
    answer = json.loads(said)
    assert (0, True) == (status, answer["whole"])
    assert answer["exported"]["heads"] == len(exported.read_text().splitlines())
    (home / "none").write_text("words\n")
    status, said = invoke(home, "verify", "--heads", str(home / "none"), "--language", "en")
    assert REFUSED == status
    assert "1 lines of the file are not sealed" in said
    assert "it proves nothing" in said
    change(home, "UPDATE audit SET mac = NULL")
    head = json.loads(exported.read_text().splitlines()[-1])
    status, said = invoke(home, "verify", "--heads", str(exported), "--language", "fr")
    assert (REFUSED, head["number"] > 0) == (status, f"ligne {head['number']}, n’est plus dans le journal" in said)
    assert 2 == invoke(home, "verify", "--heads", str(home / "nowhere"))[0]


def test_a_trail_that_is_whole(home: Path) -> None:
    status, said = invoke(home, "verify", "--json")
    answer: dict[str, Any] = json.loads(said)
    assert (status, answer["whole"]) == (0, True)
    assert answer["chains"][0]["rows"] >= 1
    assert invoke(home, "verify", "--language", "en")[1].strip().endswith("whole")


def test_where_nothing_was_broken_nothing_is_let_go_on(home: Path) -> None:
    status, said = invoke(home, "resume", "--reason", "just in case", "--language", "en")
    assert (0, "Nothing was broken.") == (status, said.strip())
    status, said = invoke(home, "resume", "--reason", "just in case", "--json")
    assert (0, {}, {}) == (status, json.loads(said)["chains"], json.loads(said)["tables"])


@pytest.mark.parametrize("reason", ["  ", "x" * 501])
def test_a_reason_is_one(home: Path, reason: str) -> None:
    status, said = invoke(home, "resume", "--reason", reason, "--language", "en")
    assert 2 == status
    assert "a reason has 1 to 500 characters" in said


def test_a_row_of_another_table_that_was_changed_is_told(home: Path) -> None:
    change(home, "INSERT INTO site (name, value) VALUES ('key', 'planted')")
    change(home, "UPDATE audit_heads SET seal = seal")
    status, said = invoke(home, "verify", "--language", "en")
    assert 5 == status
    assert "site key: " in said


def test_a_trail_that_was_changed(home: Path) -> None:
    change(home, "UPDATE audit SET outcome = 'x' WHERE number = 1")
    status, said = invoke(home, "verify", "--json")
    assert (status, json.loads(said)["chains"][0]["broken"]) == (5, {"number": 1, "why": "changed"})
    assert "row 1: changed" in invoke(home, "verify", "--language", "en")[1]


def test_a_trail_whose_end_was_cut_off(home: Path) -> None:
    change(home, "DELETE FROM audit")
    change(home, "DELETE FROM audit_heads")
    status, said = invoke(home, "verify", "--json")
    assert (status, json.loads(said)["chains"][0]["broken"]["why"]) == (5, "missing")


def test_an_export_is_lines_of_json(home: Path) -> None:
    status, said = invoke(home, "export")
    lines = [json.loads(line) for line in said.splitlines()]
    assert status == 0
    assert {"at", "action", "outcome", "station", "number", "mac"} <= lines[0].keys()
    assert "session.open" in {line["action"] for line in lines}
    assert invoke(home, "export", "--station", lines[0]["station"])[1] == said
    assert invoke(home, "export", "--station", "nobody") == (0, "")


def test_where_there_is_no_station_none_is_made(tmp_path: Path) -> None:
    assert invoke(tmp_path, "verify")[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_an_export_holds_no_transaction_open_while_it_is_read(
    tmp_path: Path, site_database: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = f'store = "{site_database}"\n{SETTINGS}'
    (tmp_path / "config.toml").write_text(settings, "utf-8")
    (tmp_path / "config.toml").chmod(0o600)

    async def main() -> None:
        for _ in range(3):
            async with running(Home.under(tmp_path), parse(settings)):
                for _ in range(2):
                    async with connect(home=tmp_path):
                        pass

    asyncio.run(main())
    open_now = (
        "SELECT count(*) FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() "
        "AND application_name = 'vitale-reader' AND datname = current_database()"
    )
    database = make_url(site_database).database or ""
    printed: list[dict[str, Any]] = []
    transactions: list[str] = []

    def read_slowly(line: dict[str, Any], *, pretty: bool) -> None:
        printed.append(line)
        transactions.append(postgres.execute(open_now, database))

    monkeypatch.setattr(pages, "PAGE", 2)
    monkeypatch.setattr(output, "print_json", read_slowly)
    assert 0 == invoke(tmp_path, "export")[0]
    assert [*range(1, len(printed) + 1)] == [line["number"] for line in printed]
    assert len(printed) >= 6
    assert {"0"} == set(transactions)
