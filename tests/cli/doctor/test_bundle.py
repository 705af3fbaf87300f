"""``doctor --bundle`` on a desk that read a card: the list is shown first, and the file names nobody."""

import errno
import json
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import vitale_reader
from tests.cli.slot import until
from vitale_reader.cli.doctor.command import doctor
from vitale_reader.daemon.log_output import FILE

pytestmark = pytest.mark.posix

SETTINGS = """\
[station]
mode = "simulated"
[tls]
port = 0
[log]
level = "debug"
[drivers]
enabled = ["simulated-card"]
[drivers.options.simulated-card]
present = true
image = "famille"
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """The home of a daemon that runs."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(SETTINGS, "utf-8")
    (home / "config.toml").chmod(0o600)
    command = [sys.executable, "-m", "vitale_reader", "serve", "--json", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as daemon:
        try:
            assert daemon.stdout is not None
            assert "endpoints" in json.loads(daemon.stdout.readline())
            until(home, "present")
            yield home
        finally:
            daemon.terminate()


def bundle(home: Path, file: Path, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(
        doctor, ["--bundle", str(file), "--home", str(home), "--language", "en", *options], env=dict(os.environ)
    )
    return done.exit_code, done.output


def test_a_desk_that_read_a_card_sends_nobody_s_data(served: Path, tmp_path: Path) -> None:
    with vitale_reader.connect(home=served, connect_timeout=60, call_timeout=60) as reader:
        scopes: list[vitale_reader.Scope] = ["identity", "nir", "dependants"]
        presentation = reader.read(scopes=scopes)
    people = presentation.claims.record.beneficiaires or ()
    known = {text for one in people for text in (one.nom_usuel, one.prenom, one.nir) if text}
    assert len(known) > 5

    status, said = bundle(served, tmp_path / "b.zip", "--yes")
    assert status == 0, said
    assert said.splitlines()[0].startswith("report.txt\tthis report\t")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert "serving, station" in texts[f"log/{FILE}"]
    everything = "\n".join(texts.values())
    assert [text for text in known if text in everything] == []
    assert presentation.token not in everything
    assert (served / "state" / FILE).stat().st_mode & 0o077 == 0


def test_nobody_is_asked_where_nobody_is(tmp_path: Path) -> None:
    status, said = bundle(tmp_path, tmp_path / "b.zip")
    assert (status, (tmp_path / "b.zip").exists()) == (2, False)
    assert "report.txt" in said, "the list comes first all the same"
    assert "add --yes" in said


@pytest.mark.parametrize(("answer", "written"), [("y\n", True), ("n\n", False)])
def test_a_person_is_asked_after_the_list(answer: str, written: bool, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vitale_reader.cli.doctor.bundling.at_terminal", lambda: True)
        done = CliRunner().invoke(
            doctor, ["--bundle", str(tmp_path / "b.zip"), "--home", str(tmp_path), "--language", "en"], input=answer
        )
    assert (done.exit_code, (tmp_path / "b.zip").exists()) == (0 if written else 1, written)


def test_a_file_that_is_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "b.zip").touch()
    status, said = bundle(tmp_path, tmp_path / "b.zip", "--yes", "--json")
    assert status == 2
    assert json.loads(said)["error"]["detail"].endswith("is there already")


def test_where_no_file_can_be_is_told_before_anything_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitale_reader.diagnosis.report.examine", None)
    (tmp_path / "link.zip").symlink_to(tmp_path / "nowhere")
    for file in (tmp_path / "link.zip", tmp_path / "no folder" / "b.zip"):
        status, said = bundle(tmp_path, file, "--yes", "--json")
        assert (status, str(file.parent) in json.loads(said)["error"]["detail"]) == (2, True)
    assert not (tmp_path / "nowhere").exists()


def test_a_full_disk_keeps_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "b.zip"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("vitale_reader.atomic_files.os.fdopen", full)
        status, said = bundle(tmp_path, file, "--yes", "--json")
    error = json.loads(said)["error"]
    assert (status, error["variant"], error["detail"]) == (2, "disk_full", f"No space left on device: {file}")
    assert bundle(tmp_path, file, "--yes")[0] == 0, "nothing stands in the way of the next try"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_program_gets_the_list_as_json(tmp_path: Path) -> None:
    status, said = bundle(tmp_path, tmp_path / "b.zip", "--yes", "--json")
    told = json.loads(said)
    assert (status, told["file"]) == (0, str(tmp_path / "b.zip"))
    assert {one["name"] for one in told["contents"]} == set(zipfile.ZipFile(tmp_path / "b.zip").namelist())
