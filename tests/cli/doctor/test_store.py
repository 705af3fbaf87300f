"""What ``vitale-reader doctor`` says of the store: what was set aside, and whether the database of the site answers."""

import asyncio
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.posix import OWN_DOOR
from tests.postgres_server import PASSWORD
from vitale_reader.cli.audit import audit
from vitale_reader.cli.doctor.command import doctor
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.home import Home

SETTINGS = f"[drivers]\nenabled = []\n{OWN_DOOR}"


def start_once(home: Path, settings: str) -> None:
    async def main() -> None:
        async with running(Home.under(home), parse(settings)):
            pass

    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(settings, "utf-8")
    (home / "config.toml").chmod(0o600)  # the URL of a database has a password in it
    asyncio.run(main())


def findings(home: Path, language: str = "en", subject: str = "store") -> list[dict[str, Any]]:
    done = CliRunner().invoke(doctor, ["--json", "--language", language, "--home", str(home)])
    assert PASSWORD not in done.output
    return [one for one in json.loads(done.output)["findings"] if one["subject"] == subject]


def test_a_store_that_was_set_aside_is_told_until_somebody_takes_it_away(tmp_path: Path) -> None:
    start_once(tmp_path, SETTINGS)
    assert [one["id"] for one in findings(tmp_path)] == ["store_whole"]
    (tmp_path / "state" / "store.db").write_bytes(b"no database at all" * 1_000)
    start_once(tmp_path, SETTINGS)
    aside, lost = findings(tmp_path)
    assert [(found["state"], found["id"]) for found in (aside, lost)] == [
        ("wrong", "store_set_aside"),
        ("wrong", "store_changed"),
    ]
    assert "store.db.corrupt-" in aside["title"]
    assert CliRunner().invoke(audit, ["resume", "--reason", "disk", "--home", str(tmp_path)]).exit_code == 0
    assert [found["id"] for found in findings(tmp_path)] == ["store_set_aside", "store_whole"]


def test_whether_the_database_of_a_site_answers(tmp_path: Path, empty_database: str) -> None:
    (tmp_path / "desk").mkdir()
    of_another = empty_database.replace(PASSWORD, "of-another-database")
    for url, finding in (
        (empty_database, "site_answers"),
        (of_another, "store_unavailable.database-login"),
        (empty_database.replace("?", "-none?"), "store_unavailable.database-missing"),
    ):
        # A desk that was never started is looked at as well.
        (tmp_path / "desk" / "config.toml").write_text(f'store = "{url}"\n{SETTINGS}')
        (tmp_path / "desk" / "config.toml").chmod(0o600)
        assert [one["id"] for one in findings(tmp_path / "desk")] == [finding]
    start_once(tmp_path / "desk", f'store = "{empty_database}"\n{SETTINGS}')
    assert [(one["id"], one["state"]) for one in findings(tmp_path / "desk")] == [("site_answers", "ok")]
    with pytest.MonkeyPatch.context() as patch:
        ahead = partial(StoreClock, wall=lambda: time.time() + 7_200)
        patch.setattr("vitale_reader.daemon.store.clock.StoreClock", ahead)
        for language, words in (("fr", "heure"), ("en", "time")):
            (wrong,) = [one for one in findings(tmp_path / "desk", language, "clock") if one["id"] == "site_clock"]
            assert wrong["state"] == "wrong"
            assert "+72" in f"{wrong['title']} {wrong['cause']}"
            assert words in wrong["remedy"]
    (tmp_path / "desk" / "config.toml").write_text(
        f'store = "postgresql://desk:{PASSWORD}@/no?host=/nowhere"\n{SETTINGS}'
    )
    assert [one["state"] for one in findings(tmp_path / "desk")] == ["wrong"]
