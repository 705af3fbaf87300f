"""Files of the Debian package that are made from the code, and its scripts. `make bare-desk` tries the whole."""

import gzip
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from debian_package.control_file import control, debian_version
from debian_package.copyright_file import copyright_of, licence
from debian_package.files import PROGRAM, files
from debian_package.man_page import EXIT_STATUS, commands
from debian_package.udev_rules import rules
from vitale_reader.cli.frame import exit_status
from vitale_reader.cli.root import COMMANDS, root
from vitale_reader.diagnosis.desk.usb import KnownDevice, known_devices


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return dict(files())


def test_each_device_that_a_driver_opens_itself_has_a_rule() -> None:
    text = rules(known_devices())
    opened = [device for device in known_devices() if device.kind in {"nfc", "imager"}]

    assert len(opened) == len(re.findall(r'^SUBSYSTEM.*, TAG\+="uaccess"$', text, flags=re.MULTILINE))
    for device in opened:
        assert f"# {device.name}\nSUBSYSTEM==" in text
        assert f'{{idVendor}}=="{device.vendor}"' in text


def test_readers_of_pcsc_are_left_to_its_driver() -> None:
    smart = KnownDevice(vendor="08e6", name="Reader", kind="pcsc", source="invented")

    assert "08e6" not in rules([smart])


def test_a_rule_names_what_the_driver_opens() -> None:
    imager = KnownDevice(vendor="0c2e", name="Imager", kind="imager", source="invented")
    reader = KnownDevice(vendor="054c", product="06c1", name="Reader", kind="nfc", source="invented")

    assert (
        'SUBSYSTEM=="tty", SUBSYSTEMS=="usb", ATTRS{idVendor}=="0c2e", GROUP="dialout", MODE="0660", TAG+="uaccess"\n'
    ) in rules([imager])
    assert (
        'SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="054c", ATTR{idProduct}=="06c1", '
        'GROUP="plugdev", MODE="0660", TAG+="uaccess"\n'
    ) in rules([reader])


def test_the_rules_come_before_seats_are_given_their_devices(made: dict[str, str]) -> None:
    (name,) = [Path(path).name for path in made if "udev" in path]

    assert name < "73-seat-late.rules"


def test_udev_finds_no_fault(made: dict[str, str], tmp_path: Path) -> None:
    udevadm = shutil.which("udevadm")
    if (
        udevadm is None
        or "verify"
        not in subprocess.run([udevadm, "--help"], capture_output=True, text=True, timeout=100, check=False).stdout
    ):
        pytest.skip("no udevadm here that verifies rules (systemd 254)")
    file = tmp_path / "60-vitale-reader.rules"
    file.write_text(rules(known_devices()), encoding="utf-8")

    subprocess.run([udevadm, "verify", "--no-style", file], check=True, timeout=100)


def man(tmp_path: Path, language: str) -> str:
    command = (sys.executable, "-m", "debian_package", "man", str(tmp_path), language, "2026-11-30")
    root = Path(__file__).parents[2]
    subprocess.run(command, cwd=root / ".ci", check=True, timeout=100)
    (page,) = tmp_path.rglob("vitale-reader.1.gz")
    return gzip.decompress(page.read_bytes()).decode()


@pytest.mark.parametrize(("language", "title"), [("en", "COMMANDS"), ("fr", "COMMANDES")])
def test_the_man_page_tells_every_command_and_option(tmp_path: Path, language: str, title: str) -> None:
    page = man(tmp_path, language)

    assert f".SH {title}\n" in page
    assert ("fr/man1" in str(next(tmp_path.rglob("man1")))) is (language == "fr")
    for name, command in commands(root, "vitale-reader"):
        assert f".SS {name.replace('-', chr(92) + '-')} " in page
        for option in command.params:
            for spelling in option.opts:
                assert not spelling.startswith("--") or spelling.replace("-", "\\-") in page
    groff = shutil.which("groff")
    if groff is not None:
        told = subprocess.run(
            [groff, "-man", "-k", "-ww", "-z"], input=page, capture_output=True, text=True, timeout=100, check=True
        )
        assert told.stderr == ""


def test_the_man_page_knows_each_exit_status() -> None:
    names = ("DONE", "OTHER", "USAGE", "NO_DAEMON", "NOTHING_PRESENTED", "REFUSED", "DEVICE", "INTERRUPTED")

    assert [getattr(exit_status, name) for name in names] == [status for status, _, _ in EXIT_STATUS]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_finds_its_completion(shell: str, made: dict[str, str]) -> None:
    (text,) = [text for path, text in made.items() if f"/{shell}" in path]

    assert "_VITALE_READER_COMPLETE" in text
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=text, text=True, check=True, timeout=100)


def test_the_services_run_what_is_installed(made: dict[str, str]) -> None:
    for scope in ("system", "user"):
        assert f"\nExecStart={PROGRAM} serve\n" in made[f"usr/lib/systemd/{scope}/vitale-reader.service"]


def test_one_account_is_made_admitted_to_readers_and_serves(made: dict[str, str]) -> None:
    assert 'subject.user == "vitale-reader"' in made["usr/share/polkit-1/rules.d/vitale-reader.rules"]
    assert "\nu vitale-reader " in "\n" + made["usr/lib/sysusers.d/vitale-reader.conf"]
    assert "\nUser=vitale-reader\n" in made["usr/lib/systemd/system/vitale-reader.service"]


def test_the_dashboard_is_in_the_menu_where_there_is_one(made: dict[str, str]) -> None:
    assert ("dashboard" in COMMANDS) is ("usr/share/applications/vitale-reader.desktop" in made)


def test_the_package_that_was_built_is_the_one_that_the_readme_installs() -> None:
    root = Path(__file__).parents[2]
    (named,) = re.findall(r"apt install \./(dist/\S+)$", (root / "README.md").read_text("utf-8"), flags=re.MULTILINE)

    before, _, _ = (root / ".ci" / "deb").read_text("utf-8").partition("dpkg-deb --root-owner-group")
    assert f"\nrm -f {named} " in before


def test_every_library_tells_its_licence() -> None:
    found = list(importlib.metadata.distributions())
    text = copyright_of(found)

    assert "Files: *\nCopyright: the vitale-reader contributors\nLicense: Apache-2.0\n" in text
    for distribution in found:
        if distribution.metadata["Name"] != "vitale-reader":
            assert f"Copyright: the authors of {distribution.metadata['Name']} {distribution.version}\n" in text


def metadata(tmp_path: Path, lines: str) -> importlib.metadata.Distribution:
    folder = tmp_path / "thing-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: thing\nVersion: 1\n{lines}", encoding="utf-8")
    return importlib.metadata.PathDistribution(folder)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("License-Expression: MIT OR Apache-2.0\n", "MIT OR Apache-2.0"),
        ("License: BSD 3-Clause\n", "BSD-3-Clause"),
        (
            "License: A long text\n        of many lines\nClassifier: License :: OSI Approved :: MIT License\n",
            "MIT-License",
        ),
    ],
)
def test_a_licence_is_told_in_a_word(tmp_path: Path, lines: str, expected: str) -> None:
    assert expected == licence(metadata(tmp_path, lines))


def test_a_library_without_a_licence_is_no_part_of_a_package(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="thing tells no licence"):
        licence(metadata(tmp_path, ""))


@pytest.mark.parametrize(
    ("version", "development", "release", "expected"),
    [
        ("0.1.0", "", "12", "0.1.0-1+deb12"),
        ("0.1.0", "802.f6ec9021", "13", "0.1.0~802.f6ec9021-1+deb13"),
        ("0.2.0rc1", "", "13", "0.2.0~rc1-1+deb13"),
    ],
)
def test_the_version_of_a_package(version: str, development: str, release: str, expected: str) -> None:
    assert expected == debian_version(version, development, release)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("0.1.0~802.f6ec9021-1+deb12", "0.1.0~803.00000000-1+deb12"),
        ("0.1.0~802.f6ec9021-1+deb12", "0.1.0-1+deb12"),
        ("0.1.0~99.f6ec9021-1+deb12", "0.1.0~100.00000000-1+deb12"),
        ("0.1.0-1+deb12", "0.1.0-1+deb13"),
    ],
)
def test_what_is_built_later_is_an_upgrade(earlier: str, later: str) -> None:
    dpkg = shutil.which("dpkg")
    if dpkg is None:
        pytest.skip("no dpkg here to compare versions")

    subprocess.run([dpkg, "--compare-versions", earlier, "lt", later], check=True, timeout=100)


def test_the_control_file_binds_the_package_to_its_python() -> None:
    text = control(
        version="0.1.0-1+deb13",
        architecture="amd64",
        maintainer="A <a@b.fr>",
        python="3.13",
        libraries="libc6 (>= 2.34)",
        kibibytes=7,
    )
    fields = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", text, flags=re.MULTILINE))

    assert fields["Depends"].split(", ")[:3] == ["python3 (>= 3.13~)", "python3 (<< 3.14~)", "pcscd"]
    assert fields["Depends"].endswith(", libc6 (>= 2.34)")
    assert ("0.1.0-1+deb13", "amd64", "7") == (fields["Version"], fields["Architecture"], fields["Installed-Size"])


SCRIPTS = ("postinst", "postrm", "prerm")


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripts_of_the_package_are_sound(root_of_scripts: Path, name: str) -> None:
    subprocess.run(["sh", "-n", root_of_scripts / name], check=True, timeout=100)
    shellcheck = shutil.which("shellcheck")
    if shellcheck is not None:
        subprocess.run([shellcheck, root_of_scripts / name], check=True, timeout=100)


@pytest.fixture
def root_of_scripts(root: Path) -> Path:
    return root / ".ci" / "debian_package" / "scripts"


RECORDED = (
    *("deb-systemd-helper", "deb-systemd-invoke", "install", "py3clean", "py3compile", "rm", "systemctl"),
    *("systemd-sysusers", "udevadm"),
)
RECORDER = """#!/bin/sh
echo "{name} $*" >>{told}
case "$*" in *list-units*) echo user@1000.service ;; esac
"""


def calls(scripts: Path, tmp_path: Path, name: str, *arguments: str) -> list[str]:
    """Commands of a script that is run beside programs which only write down how they were called."""
    programs, told = tmp_path / "bin", tmp_path / "told"
    programs.mkdir(exist_ok=True)
    told.unlink(missing_ok=True)
    for program in RECORDED:
        file = programs / program
        file.write_text(RECORDER.format(name=program, told=told), encoding="utf-8")
        file.chmod(0o755)
    if not (programs / "sed").exists():
        (programs / "sed").symlink_to(str(shutil.which("sed")))
    text = (scripts / name).read_text(encoding="utf-8").replace("/run/systemd/system", str(tmp_path))
    (tmp_path / name).write_text(text, encoding="utf-8")
    shell = str(shutil.which("sh"))
    subprocess.run([shell, tmp_path / name, *arguments], env={"PATH": str(programs)}, check=True, timeout=100)
    return told.read_text(encoding="utf-8").splitlines()


def test_an_installation_starts_the_daemon_of_who_is_logged_in(root_of_scripts: Path, tmp_path: Path) -> None:
    called = calls(root_of_scripts, tmp_path, "postinst", "configure", "")

    assert "deb-systemd-invoke --user start vitale-reader.service" in called
    assert "systemd-sysusers vitale-reader.conf" in called
    assert "py3compile -p vitale-reader /usr/lib/vitale-reader" in called
    assert not [call for call in called if "restart" in call or call.startswith("rm ")]


def test_an_upgrade_restarts_what_runs_and_starts_nothing(root_of_scripts: Path, tmp_path: Path) -> None:
    called = calls(root_of_scripts, tmp_path, "postinst", "configure", "0.1.0-1+deb12")

    assert "systemctl --quiet --user --machine 1000@ try-restart vitale-reader.service" in called
    assert "deb-systemd-invoke try-restart vitale-reader.service" in called
    assert not [call for call in called if " start " in call]


def test_before_an_upgrade_nothing_is_stopped(root_of_scripts: Path, tmp_path: Path) -> None:
    called = calls(root_of_scripts, tmp_path, "prerm", "upgrade", "0.1.1-1+deb12")

    assert called == ["py3clean -p vitale-reader /usr/lib/vitale-reader"]


def test_removal_stops_and_keeps_what_was_written(root_of_scripts: Path, tmp_path: Path) -> None:
    called = calls(root_of_scripts, tmp_path, "prerm", "remove") + calls(root_of_scripts, tmp_path, "postrm", "remove")

    assert "deb-systemd-invoke stop vitale-reader.service" in called
    assert "deb-systemd-invoke --user stop vitale-reader.service" in called
    assert not [call for call in called if call.startswith("rm ")]


def test_purging_takes_what_the_machine_had_and_no_more(root_of_scripts: Path, tmp_path: Path) -> None:
    called = calls(root_of_scripts, tmp_path, "postrm", "purge")

    assert ["rm -rf /var/lib/vitale-reader"] == [call for call in called if call.startswith("rm ")]
