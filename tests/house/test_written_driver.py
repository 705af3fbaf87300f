"""The driver of the page "Write a driver" is one: packaged, it passes the contract and is read by a daemon."""

import asyncio
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from vitale_protocol.errors import VitaleError
from vitale_protocol.media import interpret
from vitale_protocol.records import Medium
from vitale_reader import aio
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.home import Home

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-driver.md"
FILE = re.compile(r"^<!-- file: ([\w.-]+) -->\n```\w+\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
TEXT = PAGE.read_text("utf-8")
FILES = dict(FILE.findall(TEXT))
ROW = re.compile(r"^\| `([\w-]+)` \| (`\w+`) \| (`\w+`) \|$", flags=re.MULTILINE)


def package(folder: Path, *changes: tuple[str, str, str]) -> Path:
    """The page's files, installed as their ``pyproject.toml`` says, with pieces of the driver replaced."""
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")
    for name, old, new in changes:
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), "utf-8")
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = (
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in names.items())
        for group, names in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n".join(points), "utf-8")
    return folder


def contract(folder: Path) -> tuple[int, str]:
    """The package's own tests, run as its author runs them."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_drop_folder.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_driver_of_the_page_keeps_the_contract(tmp_path: Path) -> None:
    status, said = contract(package(tmp_path))
    assert status == 0, said
    assert re.search(r"\b18 passed, 7 skipped\b", said), said


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            [("drop_folder.py", '"code": code', '"data": code')],
            "ins-datamatrix with evidence ['data'] gives no reading: payload_invalid",
        ),
        (
            [
                ("drop_folder.py", 'MEDIUM = "ins-datamatrix"', 'MEDIUM = "library-card"'),
                ("test_drop_folder.py", 'medium = "ins-datamatrix"', 'medium = "library-card"'),
            ],
            "Driver.media declares ['library-card']",
        ),
    ],
)
def test_a_driver_that_nobody_could_use_does_not(
    changes: list[tuple[str, str, str]], told: str, tmp_path: Path
) -> None:
    status, said = contract(package(tmp_path, *changes))
    assert (status, told in said) == (1, True), said


def test_a_daemon_reads_a_token_with_the_driver_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tmp_path / "package"
    written.mkdir()
    package(written)
    monkeypatch.setattr(sys, "path", [str(written), *sys.path])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(written), *sys.path]))
    scans = tmp_path / "scans"
    scans.mkdir()
    config = parse(FILES["config.toml"].replace("/srv/scans", str(scans)) + "\n[tls]\nenabled = false\n")
    code = re.search(r'^CODE = b"(.*)"$', FILES["test_drop_folder.py"], flags=re.MULTILINE)
    assert code is not None

    async def read() -> Any:
        home = Home.under(tmp_path / "home")
        async with running(home, config), aio.connect(home=tmp_path / "home") as desk:
            (scans / "part").write_bytes(code[1].replace("\\x1d", "\x1d").encode())
            (scans / "part").rename(scans / "code")
            async with asyncio.timeout(100):
                return await desk.read(media=["ins-datamatrix"], timeout=90)

    token = asyncio.run(read())
    assert token.claims.record.beneficiaires[0].nom_patronymique == "MARCHAND"


def test_every_medium_that_is_read_is_listed() -> None:
    listed = {medium for medium, _, _ in ROW.findall(TEXT)}
    assert listed == {*get_args(Medium)} - {"cps-card"}  # recognised, and never read


class Asked(dict[str, bytes]):
    """Evidence that remembers what it was asked for."""

    def __init__(self) -> None:
        self.keys_asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.keys_asked.add(key)
        return default


@pytest.mark.parametrize(("medium", "key"), [(medium, key.strip("`")) for medium, key, _ in ROW.findall(TEXT)])
def test_the_evidence_is_what_is_interpreted(medium: str, key: str) -> None:
    evidence = Asked()
    with pytest.raises(VitaleError):
        interpret(medium, evidence, simulated=False)
    assert key in evidence.keys_asked
