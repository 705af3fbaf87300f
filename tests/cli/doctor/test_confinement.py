"""What ``vitale-reader doctor`` says of the confinement of drivers on this system."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from vitale_drivers.host import confinement
from vitale_reader.cli.doctor.command import doctor


@pytest.mark.posix("Linux confines drivers")
@pytest.mark.parametrize(
    ("version", "state", "finding"),
    [
        (0, "note", "confinement_partial"),
        (5, "note", "confinement_partial"),
        (6, "ok", "confinement_whole"),
        (7, "ok", "confinement_whole"),
    ],
)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_system_that_does_not_confine_drivers_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: int, state: str, finding: str, language: str
) -> None:
    monkeypatch.setattr(confinement, "landlock_version", lambda: version)
    done = CliRunner().invoke(doctor, ["--json", "--language", language, "--home", str(tmp_path)])
    (found,) = (one for one in json.loads(done.output)["findings"] if one["subject"] == "confinement")
    assert (found["id"], found["state"]) == (finding, state)
    assert ("6.12" in str(found.get("remedy"))) == (state == "note")
