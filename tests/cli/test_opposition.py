"""``vitale-reader opposition``: counts are told, serials never; a station that is not there is not made."""

import asyncio
import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.posix import OWN_DOOR
from vitale_reader.cli.opposition import opposition
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.home import Home

SERIAL = "468963684"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A station that was started once."""

    async def main() -> None:
        async with running(Home.under(tmp_path), parse(f"[drivers]\nenabled = []\n{OWN_DOOR}")):
            pass

    asyncio.run(main())
    return tmp_path


def invoke(home: Path, *arguments: str) -> tuple[int, str]:
    """The status, and what is told; not what is being waited for, which goes to standard error."""
    done = CliRunner().invoke(opposition, [*arguments, "--home", str(home)])
    assert SERIAL not in done.output
    return done.exit_code, done.output if done.exit_code else done.stdout


def test_import_list_status_clear(home: Path) -> None:
    file = home / "list.txt"
    file.write_text(f"{SERIAL}\n468963685\n")
    assert json.loads(invoke(home, "status", "--json")[1]) == {"lists": 0, "entries": 0, "imported_at": None}
    assert json.loads(invoke(home, "import", str(file), "--json")[1]) == {"name": "site", "entries": 2}
    assert invoke(home, "import", str(file), "--name", "caisse")[0] == 0
    assert [each["name"] for each in json.loads(invoke(home, "list", "--json")[1])["lists"]] == ["caisse", "site"]
    assert json.loads(invoke(home, "status", "--json")[1])["entries"] == 4
    assert invoke(home, "clear", "--json") == (0, '{\n  "removed": 1\n}\n')
    assert "caisse" in invoke(home, "list")[1]
    assert json.loads(invoke(home, "clear", "--all", "--json")[1]) == {"removed": 1}


def test_a_person_is_told_in_words(home: Path) -> None:
    file = home / "list.txt"
    file.write_text(f"{SERIAL}\n468963685\n")
    english = ("--language", "en")
    assert "Last import" in invoke(home, "status", *english)[1]
    assert ["List", "site"] == invoke(home, "import", str(file), *english)[1].splitlines()[0].split()
    assert ["Cards", "2"] == invoke(home, "status", *english)[1].splitlines()[1].split()
    assert "Lists removed" in invoke(home, "clear", *english)[1]


@pytest.mark.parametrize("content", [b"", b"numero\n", b"1234\n\xff\xfe\n", b"468963684\n4689/63684\n"])
def test_a_file_that_is_no_list_changes_nothing(home: Path, content: bytes) -> None:
    file = home / "list.txt"
    file.write_bytes(b"1234\n")
    invoke(home, "import", str(file))
    file.write_bytes(content)
    assert invoke(home, "import", str(file))[0] == 2
    assert json.loads(invoke(home, "status", "--json")[1])["entries"] == 1


def test_where_there_is_no_station_none_is_made(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("1234\n")
    assert invoke(tmp_path / "home", "import", str(file))[0] == 2
    assert [each.name for each in tmp_path.iterdir()] == ["list.txt"]


@pytest.mark.parametrize(
    "hand", ["imported_at = 9e999", "imported_at = 'yesterday'", "entries = 0", "entries = 'many'", "name = 'another'"]
)
def test_a_list_that_somebody_changed_is_not_told_as_if_it_were_whole(home: Path, hand: str) -> None:
    file = home / "list.txt"
    file.write_text(f"{SERIAL}\n")
    assert invoke(home, "import", str(file))[0] == 0
    with contextlib.closing(sqlite3.connect(home / "state" / "store.db")) as connection:
        connection.execute(f"UPDATE opposition_lists SET {hand}")  # noqa: S608  constants
        connection.commit()
    for word in ("list", "status"):
        status, said = invoke(home, word, "--language", "en")
        assert status == 1
        assert "import it again" in said
