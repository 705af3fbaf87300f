"""The table of commands, help, language, exit statuses and the demonstration's verdict."""

import errno
import json
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vitale_protocol import catalogue
from vitale_protocol.errors import (
    AmbiguousMedium,
    DaemonUnreachable,
    InternalError,
    LocalMisuse,
    MediumMute,
    NoReader,
    NotAuthorised,
    PresentationTimeout,
    SimulatedRefused,
    TokenInvalid,
    VitaleError,
    concrete_errors,
)
from vitale_reader.cli.config.show_and_check import toml
from vitale_reader.cli.frame import language as text
from vitale_reader.cli.frame.exit_status import exit_status
from vitale_reader.cli.root import COMMANDS, root


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(root, arguments, prog_name="vitale-reader")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_of_the_table_is_one_and_has_help(name: str) -> None:
    entry = COMMANDS[name]
    module, _, attribute = entry.place.partition(":")
    assert getattr(import_module(f"vitale_reader.cli.{module}"), attribute).name == name
    assert invoke(name, "--help").exit_code == 0
    assert entry.fr != entry.en


@pytest.mark.parametrize("code_page", ["cp1252", "cp850", "ascii"])
def test_json_is_utf_8_whatever_the_code_page(code_page: str, tmp_path: Path) -> None:
    arguments = ("-m", "vitale_reader", "--language", "fr", "readers", "--json", "--home", str(tmp_path))
    done = subprocess.run(
        (sys.executable, *arguments),
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": code_page, "PYTHONUTF8": "0"},
        timeout=100,
    )
    told = json.loads(done.stdout.decode("utf-8"))["error"]
    assert told["remedy"] == catalogue.text("daemon_unreachable", "fr").remedy
    assert not told["remedy"].isascii()


@pytest.mark.parametrize("language", ["fr", "en"])
def test_help_lists_every_command_with_its_words(language: str) -> None:
    shown = CliRunner().invoke(root, ("--language", language, "--help"), prog_name="vitale-reader", terminal_width=200)
    for name, entry in COMMANDS.items():
        words = entry.fr if language == "fr" else entry.en
        (line,) = [line for line in shown.output.splitlines() if line.split()[:1] == [name]]
        # A long description is cut at the edge of the page, and says so.
        told = " ".join(line.split()[1:])
        assert words.rstrip(".").startswith(told.removesuffix("...").rstrip(". "))
        assert len(told) > 10


def test_version() -> None:
    assert invoke("--version").output.startswith("vitale-reader ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    assert "_VITALE_READER_COMPLETE" in invoke("completion", shell).output


@pytest.mark.parametrize(
    ("arguments", "environ", "chosen"),
    [
        ([], {}, "en"),
        ([], {"LANG": "fr_FR.UTF-8"}, "fr"),
        ([], {"LANG": "fr_FR.UTF-8", "LC_ALL": "C"}, "en"),
        ([], {"LANG": "fr_FR.UTF-8", "LC_ALL": ""}, "fr"),
        (["--language", "en"], {"LANG": "fr_FR.UTF-8"}, "en"),
        (["read", "--language=fr"], {}, "fr"),
        (["--language", "de"], {}, "en"),
        (["--language"], {}, "en"),
    ],
)
def test_the_language(arguments: list[str], environ: dict[str, str], chosen: str, tmp_path: Path) -> None:
    assert text.choose(arguments, environ | {"VITALE_READER_HOME": str(tmp_path)}) == chosen


def test_the_language_of_the_configuration(tmp_path: Path) -> None:
    environ = {"LANG": "en_GB.UTF-8", "VITALE_READER_HOME": str(tmp_path)}
    file = tmp_path / "config.toml"
    for content, chosen in (
        ('[station]\nlanguage = "fr"\n', "fr"),
        ("[station]\n", "en"),
        ('[station]\nlanguage = "de"\n', "en"),
        ("station = 1\n", "en"),
        ("no TOML", "en"),
    ):
        file.write_text(content, "utf-8")
        assert text.choose([], environ) == chosen
    file.write_text('[station]\nlanguage = "fr"\n', "utf-8")
    assert text.choose(["--language", "en"], environ) == "en"
    other = {"LANG": "en_GB.UTF-8", "VITALE_READER_HOME": str(tmp_path / "other")}
    assert [text.choose(["--home", str(tmp_path)], other), text.choose([f"--home={tmp_path}"], other)] == ["fr", "fr"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DaemonUnreachable(), 3),
        (PresentationTimeout(), 4),
        (NotAuthorised(), 5),
        (TokenInvalid(), 5),
        (SimulatedRefused(), 5),
        (NoReader(), 6),
        (MediumMute(), 6),
        (AmbiguousMedium(), 6),
        (LocalMisuse(), 2),
        (InternalError(), 1),
    ],
)
def test_exit_statuses(error: VitaleError, status: int) -> None:
    assert exit_status(error) == status


def test_no_error_ends_with_success() -> None:
    assert all(exit_status(error()) != 0 for error in concrete_errors())


def test_settings_as_toml_are_toml() -> None:
    settings = {"store": 'sq"l\\ité', "n": 3, "tls": {"lan": True, "users": ["a", "b"], "deep": {"a b": {"x": 1.5}}}}
    assert tomllib.loads("\n".join(toml(settings))) == settings
    assert tomllib.loads("\n".join(toml({**settings, "key_file": None}))) == settings


@pytest.mark.parametrize(
    ("arguments", "detail"),
    [
        (("read", "--tout", "--json"), "--tout"),
        (("rea", "--json"), "rea"),
        (("clients", "--json"), "--json"),
        (("clients", "burn", "--json"), "burn"),
        (("clients", "revoke", "--json"), "CLIENT_ID"),
        (("--language", "de", "readers", "--json"), "de"),
        (("read", "--json", "--timeout", "0"), "range"),
        (("sim", "camera", "--json"), "--file"),
        (("sim", "phone", "--json", "--port", "5"), "--screen"),
        (("sim", "phone", "--json", "--string", "--screen"), "--screen"),
        (("sim", "phone", "--json", "--screen", "--phone", "nobody"), "claire"),
        (("sim", "phone", "--json", "--screen", "--phone", "lina"), "new"),
        (("sim", "imager", "--json", "--symbology", "letters"), "datamatrix"),
        (("sim", "camera", "--json", "--grey", "--file", "/nowhere/at/all.avi"), "/nowhere/at/all.avi"),
    ],
)
def test_a_program_is_told_of_every_mistake_as_json(arguments: tuple[str, ...], detail: str) -> None:
    done = invoke("--language", "en", *arguments)
    told = json.loads(done.stdout)["error"]
    assert (done.exit_code, told["reason"]) == (2, "local_misuse")
    assert detail in told["detail"]


def test_a_mistake_on_the_command_line_is_no_mistake_in_a_file() -> None:
    told = invoke("--language", "en", "sim", "imager", "--every", "1").output
    assert "--every needs --phone" in told
    assert "config check" not in told


@pytest.mark.parametrize(
    ("number", "variant"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EROFS, "read_only"),
        (errno.EACCES, "no_access"),
        (errno.EPERM, "no_access"),
        (errno.EISDIR, None),
    ],
)
def test_what_the_system_refuses_is_told_with_its_cause(
    number: int, variant: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number), "/a/file")

    monkeypatch.setattr(Path, "exists", refuse)
    done = invoke("config", "path", "--json", "--home", str(tmp_path))
    told = json.loads(done.stdout)["error"]
    assert (2, variant, True) == (done.exit_code, told.get("variant"), "/a/file" in told["detail"])


@pytest.mark.posix
@pytest.mark.parametrize(
    "arguments",
    [
        ("config", "path", "--json"),
        ("nope", "--json"),
        ("verify", "x", "--json"),
        ("--help",),
        ("--version",),
        ("read", "--help"),
    ],
    ids=" ".join,
)
def test_an_output_that_takes_nothing_is_told_in_words(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """A disk that is full takes no JSON of the error either."""
    command = (sys.executable, "-m", "vitale_reader", "--language", "en", *arguments)
    environment = {**os.environ, "VITALE_READER_HOME": str(tmp_path)}
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=environment, text=True, timeout=100, check=False
        )
    assert (False, True, True) == ("Traceback" in done.stderr, done.returncode in (2, 5), "→" in done.stderr)


@pytest.mark.posix
@pytest.mark.parametrize("arguments", ["--help", "--version", "read --help", "sim --help", "config path"])
def test_an_output_that_nobody_reads_is_no_failure(arguments: str, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "vitale_reader", *arguments.split())
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            command,
            stdout=writer,
            stderr=subprocess.PIPE,
            env={**os.environ, "VITALE_READER_HOME": str(tmp_path)},
            text=True,
            timeout=100,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.posix
def test_bytes_that_are_no_text_are_told_as_such(tmp_path: Path) -> None:
    done = invoke("config", "path", "--json", "--home", f"{tmp_path}/caf\udce9")
    told = json.loads(done.stdout)["error"]
    assert (2, "bytes that are no UTF-8") == (done.exit_code, told["detail"])
