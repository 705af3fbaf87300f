"""Units of systemd: their hardening as systemd itself rates it, and the words in them that come from outside."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_reader.service.scope import Scope
from vitale_reader.service.systemd import ACCOUNT, NAME, accounts, pcsc_rule, program_in, unit

PROGRAM = ("/usr/bin/vitale-reader", "serve")
SCOPES: tuple[Scope, ...] = ("user", "system")

#: The most exposure that the unit of the machine may have.
MOST_EXPOSED = 2.0

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed: only Linux with systemd has it"
)
needs_its_folder = pytest.mark.skipif(
    not (Path("/run/systemd").exists() or os.access("/run", os.W_OK)),
    reason="systemd does not run here, and this user may not make its folder",
)


def settings(text: str) -> list[str]:
    return [line for line in text.splitlines() if "=" in line and not line.startswith("#")]


def analyze(folder: Path, text: str, *arguments: str) -> str:
    file = folder / NAME
    file.write_text(text, encoding="utf-8")
    environ = os.environ | {"SYSTEMD_COLORS": "0", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ("systemd-analyze", *arguments, str(file)), capture_output=True, check=False, encoding="utf-8", env=environ
    )
    return done.stdout + done.stderr


@pytest.mark.posix("units of systemd")
@needs_analyze
@needs_its_folder
def test_systemd_finds_the_unit_of_the_machine_hardly_exposed(tmp_path: Path) -> None:
    said = analyze(tmp_path, unit("system", PROGRAM), "security", "--offline=yes")
    found = re.search(r"exposure level for \S+: ([0-9.]+)", said)
    assert found, said
    assert float(found[1]) <= MOST_EXPOSED, said


@pytest.mark.posix("units of systemd")
@needs_analyze
@pytest.mark.parametrize("scope", SCOPES)
def test_systemd_understands_every_line(tmp_path: Path, scope: Scope) -> None:
    program = tmp_path / "a $HOME 100% folder" / "vitale-reader"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    said = analyze(tmp_path, unit(scope, (str(program), "serve"), tmp_path), "verify", "--man=no")
    # The machine of the tests need not have what other units name.
    assert [line for line in said.splitlines() if NAME in line] == []


def test_the_service_of_a_user_is_given_nothing_that_needs_privileges() -> None:
    # Their manager would map other users to nobody to obey them: the daemon could not tell who connects.
    needing = re.compile(r"(Protect|Private|ReadWrite|Device|Capability|Ambient|User|StateDirectory)")
    assert [line for line in settings(unit("user", PROGRAM)) if needing.match(line)] == []


@pytest.mark.parametrize("scope", SCOPES)
def test_the_service_may_read_its_readers(scope: Scope) -> None:
    lines = settings(unit(scope, PROGRAM))
    assert "PrivateDevices=yes" not in lines
    assert "PrivateNetwork=yes" not in lines
    assert "SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self" in lines
    # /proc tells whether a process that connects is one that the daemon started.
    assert not any(line.startswith(("ProtectProc", "ProcSubset")) for line in lines)


def test_devices_are_named_by_numbers_that_hold_before_they_are_plugged_in() -> None:
    allowed = [line for line in settings(unit("system", PROGRAM)) if line.startswith("DeviceAllow=")]
    assert ["char-4 rw", "char-81 rw", "char-166 rw", "char-188 rw", "char-189 rw"] == [
        line.removeprefix("DeviceAllow=") for line in allowed
    ]


def test_only_the_service_of_a_user_takes_a_folder() -> None:
    home = Path("/srv/desk one")
    assert 'Environment="VITALE_READER_HOME=/srv/desk one"' in settings(unit("user", PROGRAM, home))
    assert "Environment=VITALE_READER_HOME=/var/lib/vitale-reader" in settings(unit("system", PROGRAM, home))
    assert not any(line.startswith("Environment=") for line in settings(unit("user", PROGRAM)))


@given(st.text(st.characters(blacklist_categories=("Cc", "Cs")), min_size=1))
def test_the_program_of_a_unit_is_found_again(path: str) -> None:
    assert program_in(unit("user", (path, "serve"))) == path


def test_a_text_without_a_program_names_none() -> None:
    assert program_in("[Service]\nType=notify\n") == ""
    assert program_in('[Service]\nExecStart="/never/closed\n') == ""


def test_the_account_has_its_groups_and_pcscd_admits_it() -> None:
    assert [line.split()[2] for line in accounts().splitlines() if line.startswith("m ")] == [
        "video",
        "dialout",
        "plugdev",
    ]
    assert f'subject.user == "{ACCOUNT}"' in pcsc_rule()
    assert "access_pcsc" in pcsc_rule("paul")
    assert 'subject.user == "paul"' in pcsc_rule("paul")
