"""``config init``: a configuration from what is there and what is answered, and none that would be lost."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.cli.service.desk import Desk
from vitale_drivers.base import Sighting
from vitale_drivers.host.inspection import Surveyed
from vitale_reader.cli.config import init
from vitale_reader.cli.config.group import config
from vitale_reader.cli.config.init import InitAnswers, text
from vitale_reader.cli.frame import language
from vitale_reader.cli.service import installing
from vitale_reader.daemon import config_check
from vitale_reader.daemon.config import Config, load, parse
from vitale_reader.diagnosis.station import devices
from vitale_reader.home import Home
from vitale_reader.service import machine

Init = Callable[..., Result]

SEEN = {
    "pcsc": Surveyed(seen=(Sighting(kind="service", name="pcsc"), Sighting(kind="reader", name="Reader 0"))),
    "nfc": Surveyed(seen=(Sighting(kind="absent", name="usb"),)),
    "camera": Surveyed(
        seen=(Sighting(kind="reader", name="HD Webcam"), Sighting(kind="reader", name="OBS", simulated=True))
    ),
    "scanner": Surveyed(seen=(Sighting(kind="reader", name="Imager\x1b[2J"),)),
}


def _seen(_config: Config) -> Mapping[str, Surveyed]:
    return SEEN


def _nothing_refused(options: Mapping[str, object], _limit: float) -> list[None]:
    return [None] * len(options)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(tmp_path)
    monkeypatch.setattr(machine, "Machine", lambda: made.machine)
    return made


@pytest.fixture
def begin(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Init:
    monkeypatch.setattr(devices, "ask", _seen)
    # Each driver would check its options in a process of its own; tests of ``config check`` see to that.
    monkeypatch.setattr(config_check, "check_options", _nothing_refused)
    language.use("en")

    def run(*words: str, given: str | None = None) -> Result:
        monkeypatch.setattr(init, "somebody_is_there", lambda: given is not None)
        return CliRunner().invoke(config, ["init", *words, "--home", str(tmp_path)], input=given)

    return run


def test_what_is_there_is_taken_where_nobody_is_asked(begin: Init, tmp_path: Path) -> None:
    done = begin()
    assert 0 == done.exit_code, done.output
    made = load(tmp_path / "config.toml")
    assert ("production", "en", ("pcsc", "camera", "scanner"), False) == (
        made.station.mode,
        made.station.language,
        made.drivers.enabled,
        made.web.enabled,
    )
    written = (tmp_path / "config.toml").read_text("utf-8")
    assert "# camera: HD Webcam\n" in written
    assert "\x1b" not in written
    assert "vitale-reader service install" in done.stdout


def test_a_service_that_is_on_is_to_be_started_anew(desk: Desk, begin: Init) -> None:
    service = installing.this_service(None, system=False)
    list(service.carry_out(service.install()))
    said = begin("--no-service").stdout.splitlines()[-2]
    assert "For the service to take it up: `vitale-reader service restart`." == said
    list(service.carry_out(service.uninstall()))
    assert "`vitale-reader service install`" in begin("--no-service", "--overwrite").stdout


def test_the_folder_of_the_machine_has_the_service_of_the_machine(desk: Desk, begin: Init, tmp_path: Path) -> None:
    service = installing.this_service(None, system=True)
    station = service.station
    assert station is not None
    place = Home.under(station)
    assert "`sudo vitale-reader service install --system`" in init.next_step(place)
    list(service.carry_out(service.install()))
    assert "`sudo vitale-reader service restart --system`" in init.next_step(place)
    assert "`vitale-reader service install`" in init.next_step(Home.under(tmp_path))


def test_a_service_that_runs_is_offered_to_be_started_anew(desk: Desk, begin: Init) -> None:
    assert "Install the service" in begin(given="\n\nn\nn\n\nn\n").stderr
    service = installing.this_service(None, system=False)
    list(service.carry_out(service.install()))
    desk.systemd.taken()
    done = begin("--overwrite", given="\n\nn\nn\n\n\n")
    assert (0, True) == (done.exit_code, "Start the service anew" in done.stderr)
    assert ["systemctl --user restart vitale-reader.service"] == desk.systemd.taken()[-1:]
    assert "`vitale-reader dashboard`" in done.stdout.splitlines()[-1]


def test_a_system_without_services_runs_the_daemon_by_hand(desk: Desk, begin: Init) -> None:
    desk.machine = replace(desk.machine, system="freebsd")
    assert "Run `vitale-reader serve`." == begin("--no-service").stdout.splitlines()[-2]


def test_a_person_is_asked(begin: Init, tmp_path: Path) -> None:
    # The name, real patients, the webcam, the imager, pages, the service.
    done = begin(given="Cabinet Martin\noui\n\nperhaps\ny\ny\nn\n")
    assert 0 == done.exit_code, done.output
    made = load(tmp_path / "config.toml")
    assert ("Cabinet Martin", ("pcsc", "scanner"), True) == (made.station.name, made.drivers.enabled, made.web.enabled)
    assert "Answer yes or no." in done.stderr


@pytest.mark.parametrize("answers", ["", "Cabinet Martin\n", "Cabinet Martin\noui\n", "\n\nn\nn\n"])
def test_whoever_stops_answering_has_written_nothing(begin: Init, tmp_path: Path, answers: str) -> None:
    done = begin(given=answers)
    assert (130, True) == (done.exit_code, done.stderr.endswith("Interrupted.\n"))
    assert not (tmp_path / "config.toml").exists()


def test_a_desk_to_try_things_has_a_simulated_card(begin: Init, tmp_path: Path) -> None:
    assert 0 == begin(given="\nn\nn\nn\n").exit_code
    made = load(tmp_path / "config.toml")
    assert ("simulated", ("simulated-card",)) == (made.station.mode, made.drivers.enabled)


def test_a_program_gives_the_answers(begin: Init, tmp_path: Path) -> None:
    words = ("--name", "Accueil", "--mode", "test", "--driver", "pcsc", "--web", "--no-service", "--json")
    told = json.loads(begin(*words).stdout)
    assert {"name": "Accueil", "mode": "test", "language": "en", "drivers": ["pcsc"], "web": True, "seen": {}} == told[
        "settings"
    ]
    assert load(tmp_path / "config.toml").web.enabled


def test_a_configuration_is_not_lost(begin: Init, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.touch(mode=0o600)
    file.write_text("# mine\n", "utf-8")
    refused = json.loads(begin("--json").stdout)["error"]
    assert ("settings_exist", "# mine\n") == (refused["variant"], file.read_text("utf-8"))
    assert 2 == begin(given="\n").exit_code  # Enter is no
    assert "# mine\n" == file.read_text("utf-8")
    assert 0 == begin("--overwrite", "--yes").exit_code
    assert "# mine\n" == (tmp_path / "config.toml.old").read_text("utf-8")
    assert "# mine\n" != file.read_text("utf-8")


@pytest.mark.posix
def test_whoever_has_the_old_copy_open_reads_nothing_of_the_next(begin: Init, tmp_path: Path) -> None:
    file, old = tmp_path / "config.toml", tmp_path / "config.toml.old"
    file.touch(mode=0o600)
    file.write_text("# secret\n", "utf-8")
    old.write_text("# open to all\n", "utf-8")
    with old.open("r", encoding="utf-8") as held:
        begin("--overwrite", "--yes")
        assert ("# open to all\n", "# secret\n") == (held.read(), old.read_text("utf-8"))
    assert 0o600 == old.stat().st_mode & 0o777


@pytest.mark.posix
def test_the_old_copy_is_written_through_no_link(begin: Init, tmp_path: Path) -> None:
    elsewhere, old = tmp_path / "elsewhere", tmp_path / "config.toml.old"
    elsewhere.write_text("another's\n", "utf-8")
    old.symlink_to(elsewhere)
    (tmp_path / "config.toml").write_text("# mine\n", "utf-8")
    begin("--overwrite", "--yes")
    assert ("another's\n", "# mine\n") == (elsewhere.read_text("utf-8"), old.read_text("utf-8"))


def test_what_the_daemon_would_refuse_is_not_written(begin: Init, tmp_path: Path) -> None:
    assert 2 == begin("--name", "x" * 101, "--yes").exit_code
    assert not (tmp_path / "config.toml").exists()


@pytest.mark.parametrize("chosen", ["fr", "en"])
@pytest.mark.parametrize("mode", ["production", "simulated"])
def test_the_text_says_what_was_answered(chosen: language.Language, mode: str) -> None:
    answers = InitAnswers(
        name='Le "coin" \\ d’en haut',
        mode="simulated" if mode == "simulated" else "production",
        language=chosen,
        drivers=("pcsc", "nfc"),
        web=True,
        seen={"pcsc": ("A", "B"), "nfc": ()},
    )
    made = parse(text(answers))
    assert (answers.name, mode, chosen, answers.drivers, True) == (
        made.station.name,
        made.station.mode,
        made.station.language,
        made.drivers.enabled,
        made.web.enabled,
    )
    assert (("simulator",) if mode == "simulated" else ()) == made.apcv.profiles
    assert ("rien n’a été détecté" if chosen == "fr" else "nothing was found") in text(answers)


def test_the_service_is_installed_when_that_is_wanted(begin: Init, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path | None] = []
    monkeypatch.setattr(init, "_install", asked.append)
    begin("--yes")
    begin("--yes", "--overwrite", "--service")
    begin("--overwrite", given="\n\n\n\n\n\n")
    assert 2 == len(asked)
