"""The file for support: what is in it, and that nothing of patients, secrets or people of this machine is."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from vitale_protocol.diagnosis.findings import Finding
from vitale_reader.daemon.log_output import FILE
from vitale_reader.diagnosis.bundle import Content, contents, packed
from vitale_reader.diagnosis.machine import InspectedMachine
from vitale_reader.home import Home

NIR, NIR_GROUPED = "269054958815780", "2 69 05 49 588 157 80"
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln"
EVIDENCE = "65 1E 80 0D 53 41 4D 50 4C 45 80 81"
CANARIES = (NIR, NIR_GROUPED, TOKEN, EVIDENCE, "pin-canary", "pass-canary", "jeanne.dupont", "bytes-canary")
LINES = f"""\
2026-11-29T12:00:00.000Z INFO    vitale_reader: read {NIR}
2026-11-29T12:00:01.000Z ERROR   vitale_reader: token {TOKEN} at /Users/jeanne.dupont/x
2026-11-29T12:00:02.000Z WARNING vitale_drivers.pcsc: {EVIDENCE} and {NIR_GROUPED} and b'bytes-canary'
2026-11-29T12:00:03.000Z ERROR   vitale_reader: postgresql://desk:pass-canary@db/x does not answer to jeanne.dupont
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A station with a log that was written by somebody else, and a configuration with secrets."""
    home = Home.under(tmp_path / "home")
    home.state.mkdir(parents=True)
    (home.state / FILE).write_text(LINES, "utf-8")
    (home.state / f"{FILE}.1").write_text("2026-11-28T12:00:00.000Z INFO    vitale_reader: earlier\n", "utf-8")
    home.config.write_text(
        'store = "postgresql://desk:pass-canary@db/x"\n[drivers]\nenabled = []\n'
        '[drivers.options.x]\npin = "pin-canary"\n'
    )
    home.config.chmod(0o600)
    return home


def made(home: Home) -> dict[str, Content]:
    finding = Finding(
        id="folder_refused",
        subject="folder",
        state="wrong",
        title=f"Closed: /Users/jeanne.dupont, {NIR}",
        cause=f"It belongs to jeanne.dupont {TOKEN}",
        remedy="Give it back",
        data={"user": "jeanne.dupont", "list": [NIR, {"x": NIR_GROUPED}], "port": 7816},
    )
    machine = InspectedMachine(environ={"HOME": "/Users/jeanne.dupont"}, user="jeanne.dupont")
    return {one.name: one for one in contents(home, [finding], machine)}


def test_what_is_in_it(home: Home) -> None:
    found = made(home)
    assert list(found) == [
        "report.txt",
        "findings.json",
        "configuration.json",
        "versions.txt",
        f"log/{FILE}.1",
        f"log/{FILE}",
        "errors.txt",
    ]
    assert found["report.txt"].text.startswith("✗ Closed: ~, [nir]\n")
    assert json.loads(found["findings.json"].text)[0]["data"] == {
        "user": "[user]",
        "list": ["[nir]", {"x": "[nir]"}],
        "port": 7816,
    }
    assert json.loads(found["configuration.json"].text)["drivers"]["options"]["x"] == {"pin": "***"}
    assert "msgspec " in found["versions.txt"].text
    assert "earlier" in found[f"log/{FILE}.1"].text
    assert [line.split()[1] for line in found["errors.txt"].text.splitlines()] == ["ERROR", "WARNING", "ERROR"]


def test_nothing_of_patients_secrets_or_users_is_in_it(home: Home) -> None:
    assert all(canary in LINES + home.config.read_text() for canary in CANARIES), "each is there to be found"
    with zipfile.ZipFile(io.BytesIO(packed(tuple(made(home).values())))) as archive:
        everything = "\n".join(archive.read(name).decode() for name in archive.namelist())
    assert [canary for canary in CANARIES if canary in everything] == []


def test_a_configuration_that_cannot_be_used_is_not_repeated(home: Home) -> None:
    home.config.write_text('[drivers.options.x]\npin = "pin-canary"\n[station]\nmood = 1\n')
    told = json.loads(made(home)["configuration.json"].text)
    assert told["data"]["path"] == "station.mood"
    assert "pin-canary" not in json.dumps(told)


def test_a_station_that_never_ran_has_no_log(tmp_path: Path) -> None:
    found = {one.name for one in contents(Home.under(tmp_path), ())}
    assert found == {"report.txt", "findings.json", "configuration.json", "versions.txt"}
