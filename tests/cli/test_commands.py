"""The commands against a daemon process with the driver `simulated-card`: output, JSON, exit status, no traceback."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.cli.slot import card_in, slot_of, station_with_a_slot
from vitale_protocol.catalogue import Language
from vitale_reader.cli.demo.environment import DemoEnvironment
from vitale_reader.cli.frame.language import use
from vitale_reader.cli.root import root
from vitale_reader.diagnosis.station import devices


@pytest.fixture(scope="module")
def station() -> Iterator[DemoEnvironment]:
    with station_with_a_slot() as running:
        yield running


@pytest.fixture
def card(station: DemoEnvironment) -> Iterator[DemoEnvironment]:
    with card_in(station):
        yield station


class Outcome:
    """What a command said, and how it ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err
        assert "Traceback" not in self.err, self.err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(home: Path, *arguments: str, given: str = "", language: Language = "fr") -> Outcome:
    """Runs a command in this process: most of what each costs is the start of another one."""
    use(language)
    done = CliRunner().invoke(root, arguments, input=given, env={"VITALE_READER_HOME": str(home)})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Outcome(done.exit_code, done.stdout, done.stderr)


def run_apart(home: Path, *arguments: str, given: str = "", language: str = "fr_FR.UTF-8") -> Outcome:
    """Runs a command as a person does; each ``verify`` has seen no token before."""
    environment = {**os.environ, "VITALE_READER_HOME": str(home), "LC_ALL": language, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        (sys.executable, "-m", "vitale_reader", *arguments),
        env=environment,
        input=given,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


# ── with a daemon ──


@pytest.mark.posix("a card is moved through a Unix socket")
def test_readers(card: DemoEnvironment) -> None:
    plain = run_apart(card.home, "readers")
    assert (plain.status, plain.out.split("\t")[1:3]) == (
        0,
        ["carte Vitale présente", "simulated-card (simulé)"],
    )
    told = run(card.home, "readers", "--json").json
    assert [reader["driver"] for reader in told["readers"]] == ["simulated-card"]


@pytest.mark.posix("a card is moved through a Unix socket")
def test_the_desk_at_a_glance(card: DemoEnvironment) -> None:
    assert run(card.home, "read").status == 0
    told = run(card.home, "status", language="en")
    first, *rest = told.out.splitlines()
    assert (told.status, first.startswith("● vitale-reader ")) == (0, True)
    names: dict[str, str] = dict(line.split("\t", 1) for line in rest if "\t" in line)
    assert names["Last presentation"].endswith("carte Vitale: read")
    assert names["Clients"].endswith(" paired")
    assert names["Readers"].endswith("carte Vitale present")
    assert rest[-1] == "Nothing to correct."
    (line,) = run(card.home, "status", "--short").out.splitlines()
    assert " · mode simulé · depuis " in line
    assert line.endswith(" · dernier\N{NO-BREAK SPACE}: carte Vitale\N{NO-BREAK SPACE}: lue")
    given = run(card.home, "status", "--json").json
    assert (given["status"], given["last"]["outcome"], given["attention"]) == (0, "ok", [])
    assert [reader["driver"] for reader in given["readers"]] == ["simulated-card"]
    assert "MARCHAND" not in told.out + line


@pytest.mark.posix("a card is moved through a Unix socket")
def test_a_configuration_that_went_wrong_meanwhile_needs_attention(station: DemoEnvironment) -> None:
    file = station.home / "config.toml"
    before = file.read_bytes()
    file.write_bytes(before + b"[bad\n")
    try:
        told = run(station.home, "status", "--json")
        assert (told.status, told.json["last"]) == (2, None)
        assert [finding["id"] for finding in told.json["attention"]] == ["configuration_invalid.syntax"]
    finally:
        file.write_bytes(before)


def test_a_desk_without_a_daemon_at_a_glance(tmp_path: Path) -> None:
    told = run(tmp_path, "status", "--short", language="en")
    assert (told.status, told.out) == (3, "✗ vitale-reader · vitale-reader does not answer\n")
    assert run(tmp_path, "status", "--json").json["error"]["reason"] == "daemon_unreachable"


@pytest.mark.posix("a card is moved through a Unix socket")
def test_read_shows_holder_proof_and_origin_but_no_token(card: DemoEnvironment) -> None:
    done = run_apart(card.home, "read")
    assert done.status == 0
    assert "EXEMPLE-MARCHAND CLAIRE" in done.out
    assert "NON authentifiée" in done.out
    assert "SIMULÉE" in done.out
    assert "eyJ" not in done.out + done.err
    assert "eyJ" in run(card.home, "read", "--show-token").out


@pytest.mark.posix("a card is moved through a Unix socket")
def test_read_in_english(card: DemoEnvironment) -> None:
    assert "NOT authenticated" in run_apart(card.home, "read", language="C").out
    assert "NOT authenticated" in run(card.home, "--language", "en", "read").out
    assert "NOT authenticated" in run(card.home, "read", "--language=en").out


@pytest.mark.posix("a card is moved through a Unix socket")
def test_a_token_goes_from_read_to_verify(card: DemoEnvironment, tmp_path: Path) -> None:
    nonce = "n" * 32
    read = run(card.home, "read", "--scope", "identity", "--scope", "nir", "--nonce", nonce, "--json").json
    assert read["verified"] is True
    assert read["claims"]["record"]["assure"]["nir"]
    token = read["token"]
    jwks = tmp_path / "jwks.json"
    jwks.write_text(run(card.home, "keys", "show", "--json").out, "utf-8")

    told = run_apart(card.home, "verify", token, "--json").json
    assert told["checks"] == {"signature": "ok", "expiry": "ok", "audience": "not_compared", "nonce": "not_compared"}
    given = run_apart(
        tmp_path, "verify", "--jwks", str(jwks), "--nonce", nonce, "--audience", "local", "--json", given=token
    )
    assert set(given.json["checks"].values()) == {"ok"}
    assert "non comparé" in run_apart(card.home, "verify", token).out

    for wrong in (["--nonce", "m" * 32], ["--audience", "another"]):
        refused = run_apart(card.home, "verify", token, *wrong)
        assert refused.status == 5
        assert token not in refused.err
    altered = run_apart(card.home, "verify", token[:-4] + "AAAA", "--json")
    assert altered.status == 5
    assert altered.json["error"]["reason"] == "token_invalid"


@pytest.mark.posix("a card is moved through a Unix socket")
def test_watch_ends_after_so_many(card: DemoEnvironment) -> None:
    told = run(card.home, "watch", "--count", "1", "--json")
    assert told.status == 0
    assert json.loads(told.out.splitlines()[0])["claims"]["medium"] == "vitale-card"


@contextmanager
def watching(station: DemoEnvironment, *options: str) -> Generator["subprocess.Popen[str]"]:
    """``watch --count 1 --json``; it is gone at the end, also where a test fails."""
    with subprocess.Popen(
        (sys.executable, "-m", "vitale_reader", "watch", "--count", "1", "--json", *options),
        env={**os.environ, "VITALE_READER_HOME": str(station.home), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    ) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.posix("a card is moved through a Unix socket")
@pytest.mark.parametrize("options", [(), ("--unclaimed",)], ids=["claimed", "unclaimed"])
def test_a_watch_outlives_a_card_that_cannot_be_read(station: DemoEnvironment, options: tuple[str, ...]) -> None:
    # Whoever comes first: a card that nobody has read is read for the first request or subscription.
    with card_in(station, "vitale-1"), watching(station, *options) as running:
        assert running.stdout is not None
        assert json.loads(running.stdout.readline())["error"]["reason"] == "medium_unsupported"
        slot_of(station).insert("adulte")
        assert json.loads(running.stdout.readline())["claims"]["medium"] == "vitale-card"
        assert running.wait(60) == 0
        assert running.stdout.read() == ""


@pytest.mark.posix("a card is moved through a Unix socket")
def test_nothing_presented_is_4(station: DemoEnvironment) -> None:
    done = run_apart(station.home, "read", "--timeout", "1")
    assert done.status == 4
    assert "→" in done.err
    assert run(station.home, "read", "--timeout", "1", "--json").json["error"]["reason"] == "timeout"


@pytest.mark.posix("a card is moved through a Unix socket")
def test_a_card_that_cannot_be_read_is_6(station: DemoEnvironment) -> None:
    with card_in(station, "vitale-1"):
        done = run(station.home, "read", "--json")
    assert (done.status, done.json["error"]["reason"]) == (6, "medium_unsupported")


def test_no_command_at_all_is_usage(tmp_path: Path) -> None:
    done = run_apart(tmp_path)
    assert done.status == 2
    assert "doctor" in done.out + done.err


@pytest.mark.posix("modes of files")
def test_clients_are_paired_used_and_revoked(card: DemoEnvironment, tmp_path: Path) -> None:
    file = tmp_path / "essai.json"
    added = run(card.home, "clients", "add", "Essai", "--output", str(file), "--json").json
    assert file.stat().st_mode & 0o777 == 0o600
    assert added["pairing"] == str(file)
    assert "PRIVATE KEY" not in json.dumps(added)
    assert added["client_id"] in run(card.home, "clients", "list").out

    assert run(tmp_path, "read", "--pairing", str(file)).status == 0
    assert run(tmp_path, "read", "--pairing", str(file), "--scope", "nir").status == 5

    again = run(card.home, "clients", "add", "Essai", "--output", str(file))
    assert (again.status, "existe déjà" in again.err) == (2, True)
    assert run(card.home, "clients", "revoke", added["client_id"], "--json").json["revoked"] is True
    other = run(card.home, "clients", "add", "Autre", "--output", str(tmp_path / "autre.json"), "--json").json
    assert other["client_id"] in run(card.home, "clients", "revoke", other["client_id"]).out
    assert run(card.home, "clients", "revoke", added["client_id"]).status == 2
    assert run(tmp_path, "read", "--pairing", str(file)).status == 5


@pytest.mark.posix("a card is moved through a Unix socket")
def test_keys_rotate(station: DemoEnvironment) -> None:
    kid = run(station.home, "keys", "rotate", "--json").json["kid"]
    lines = run(station.home, "keys", "show").out.splitlines()
    assert lines[0].split("\t") == [kid, "P-256", "signe"]
    assert lines[1].endswith("vérifie encore")
    assert "Nouvelle clé" in run(station.home, "keys", "rotate").out


@pytest.fixture
def drivers_take_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine ``doctor`` takes no driver for one that hangs."""
    monkeypatch.setattr(devices, "LIMIT", 90.0)


@pytest.mark.posix("a card is moved through a Unix socket")
@pytest.mark.usefixtures("drivers_take_their_time")
def test_doctor_of_a_healthy_station(station: DemoEnvironment) -> None:
    told = run(station.home, "doctor", "--json")
    assert told.status == 0
    assert told.json["healthy"] is True
    assert {"configuration", "daemon", "driver", "reader"} <= {one["subject"] for one in told.json["findings"]}


@pytest.mark.posix("a card is moved through a Unix socket")
def test_a_second_daemon_says_who_holds_the_home(station: DemoEnvironment) -> None:
    done = run_apart(station.home, "serve", "--mode", "simulated", "--driver", "simulated-card", "--tls-port", "0")
    assert done.status == 1
    assert str(station.endpoints.pid) in done.err


@pytest.mark.posix("a card is moved through a Unix socket")
def test_a_pipe_that_is_closed_early_is_no_failure(card: DemoEnvironment) -> None:
    # Behind head, which may take its time to end, somebody says that nobody reads any more.
    command = (
        f"'{sys.executable}' -m vitale_reader readers --watch | {{ head -n 1; exec <&-; echo gone; }}; "
        "echo ${PIPESTATUS[0]}"
    )
    environment = {**os.environ, "VITALE_READER_HOME": str(card.home)}
    with subprocess.Popen(
        ("bash", "-c", command), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        assert running.stdout.readline().strip() == "gone"
        # The next event meets a broken pipe.
        slot_of(card).remove()
        assert running.stdout.readline().strip() == "0"
        assert running.stderr is not None
        assert running.stderr.read() == ""


@pytest.mark.posix("Windows cannot send Ctrl-C to one process")
def test_ctrl_c_is_130_and_cancels(station: DemoEnvironment) -> None:
    with subprocess.Popen(
        (sys.executable, "-m", "vitale_reader", "read"),
        env={**os.environ, "VITALE_READER_HOME": str(station.home), "LC_ALL": "C", "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as running:
        try:
            assert running.stderr is not None
            running.stderr.readline()
            running.stderr.readline()  # armed: the request waits at the daemon
            running.send_signal(signal.SIGINT)
            assert running.wait(60) == 130
            assert "Traceback" not in running.stderr.read()
        finally:
            running.kill()


# ── without one ──


@pytest.mark.usefixtures("drivers_take_their_time")
def test_doctor_looks_without_one_and_ends_with_the_first_thing_to_mend(tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch(mode=0o600)
    (tmp_path / "config.toml").write_text("[tls]\nport = 0\n", "utf-8")
    told = run(tmp_path, "doctor", "--json")
    # Nobody has started the run's own PC/SC service: its absence comes before that of the daemon.
    assert told.status == 6
    wrong = [finding["subject"] for finding in told.json["findings"] if finding["state"] == "wrong"]
    assert wrong[0] != "daemon"
    assert "daemon" in wrong


@pytest.mark.parametrize(
    "command",
    [["readers"], ["read"], ["watch"], ["keys", "show"], ["keys", "rotate"], ["clients", "list"]],
)
def test_no_daemon_is_3(tmp_path: Path, command: list[str]) -> None:
    assert run(tmp_path, *command).status == 3
    told = run(tmp_path, *command, "--json")
    assert told.status == 3
    assert "daemon" in json.dumps(told.json)


@pytest.mark.parametrize(
    "command",
    [
        ["nonsense"],
        ["read", "--timeout", "0"],
        ["read", "--timeout", "x"],
        ["read", "--media", "papyrus"],
        ["read", "--scope", "admin"],
        ["read", "--address", "http://x"],
        ["read", "--address", "tls://127.0.0.1:1"],
        ["read", "--pairing", "/nowhere"],
        ["clients", "add"],
        ["keys", "burn"],
        ["serve", "--mode", "other"],
        ["demo", "--repeat", "0"],
        ["completion", "cmd"],
        ["--language", "de", "readers"],
    ],
)
def test_usage_is_2(tmp_path: Path, command: list[str]) -> None:
    assert run(tmp_path, *command).status == 2


@pytest.mark.parametrize(
    "token", ["", ".", "a.b.c", "é" * 10, "eyJ9.eyJ9.eyJ9", "a" * 100_000, "..", "a.W10.c", "\x01"]
)
def test_what_is_no_token_is_5(tmp_path: Path, token: str) -> None:
    assert run(tmp_path, "verify", "-", given=token).status == 5


def test_a_jwks_that_is_none_is_2(tmp_path: Path) -> None:
    bad = tmp_path / "jwks.json"
    bad.write_text("[]", "utf-8")
    body = "eyJhdWQiOiJhIiwibm9uY2UiOiJuIn0"
    assert run(tmp_path, "verify", f"a.{body}.c", "--jwks", str(bad)).status == 2
    assert run(tmp_path, "verify", f"a.{body}.c", "--jwks", str(tmp_path / "none")).status == 2


def test_config(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    assert run(tmp_path, "config", "path").out.strip() == str(file)
    shown = run(tmp_path, "config", "show").out
    assert run(tmp_path, "config", "show", "--json").json["station"]["mode"] == "production"
    file.write_text(shown, "utf-8")
    file.chmod(0o600)
    assert run(tmp_path, "config", "check", "--json").json == {
        "path": str(file),
        "exists": True,
        "valid": True,
        "readable_by_others": False,
    }
    assert run(tmp_path, "config", "show").out == shown
    file.write_text("[station]\nmood = 1", "utf-8")
    assert run(tmp_path, "config", "check").status == 2
    assert run(tmp_path, "serve").status == 2
    file.write_bytes(b"\xff")
    assert run(tmp_path, "config", "show").status == 2


@pytest.mark.posix("a card is moved through a Unix socket")
def test_an_empty_audience_or_nonce_is_compared_and_not_left_out(card: DemoEnvironment) -> None:
    token = run(card.home, "read", "--show-token", "--json").json["token"]
    assert run_apart(card.home, "verify", token).status == 0
    assert run_apart(card.home, "verify", token, "--audience", "").status == 5
    assert run_apart(card.home, "verify", token, "--nonce", "").status == 5
    assert run(card.home, "read", "--nonce", "").status == 2


@pytest.mark.posix("a card is moved through a Unix socket")
def test_a_pairing_that_cannot_be_kept_leaves_no_client(card: DemoEnvironment) -> None:
    before = run(card.home, "clients", "list", "--json").json["clients"]
    assert run(card.home, "clients", "add", "Perdu", "--output", "/nonexistent/pairing.json").status == 2
    after = run(card.home, "clients", "list", "--json").json["clients"]
    assert [one["name"] for one in after if "revoked_at" not in one] == [
        one["name"] for one in before if "revoked_at" not in one
    ]


@pytest.mark.posix("a card is moved through a Unix socket")
def test_bytes_that_are_no_text_are_no_crash(card: DemoEnvironment) -> None:
    told = subprocess.run(
        (sys.executable, "-m", "vitale_reader", "verify", "-"),
        input=b"\xff\xfe\x00" * 100,
        env={**os.environ, "VITALE_READER_HOME": str(card.home), "PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        check=False,
    )
    assert told.returncode == 5
    assert b"Traceback" not in told.stderr
