"""``doctor`` on broken desks: the right finding and remedy first, in both languages; nothing on a healthy one."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import InsertCard
from tests.diagnosis.desks import DESKS, SERVICE, Desk, Prepared, options, prepared
from tests.posix import OWN_DOOR
from vitale_drivers.pcsc.api import PcscLibrary
from vitale_drivers.pcsc.state import ReaderState
from vitale_firmware_sim.apcv_service.service import ApcvService
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.scenario import load_scenario
from vitale_protocol.catalogue import LANGUAGES
from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.diagnosis.findings import tell
from vitale_protocol.errors import DaemonUnreachable, VitaleError
from vitale_reader.cli.doctor import findings_output
from vitale_reader.client.blocking import Connection
from vitale_reader.client.connection import Settings
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import Config, parse
from vitale_reader.diagnosis import report
from vitale_reader.diagnosis.report import examine, side_by_side
from vitale_reader.diagnosis.station import devices, resolver
from vitale_reader.diagnosis.station.daemon_view import DaemonView
from vitale_reader.home import Home
from vitale_reader.resolvers import apcv_soap
from vitale_reader.web.native.declaring import manifest, own_command
from vitale_reader.web.native.manifest_locations import System, places

PATIENCE = 90.0

pytestmark = pytest.mark.posix

Examine = Callable[..., tuple[CheckResult, ...]]
STOPPED = DaemonUnreachable("no daemon has published its endpoints")


@pytest.fixture
def look(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Examine:
    """Prepares a desk and looks at it; prints how long that took."""
    # A driver and a server of a busy machine may have their turn later than on a desk.
    monkeypatch.setattr(report, "LIMIT", 2 * PATIENCE)
    monkeypatch.setattr(devices, "LIMIT", PATIENCE)
    monkeypatch.setattr(devices, "LOOK", PATIENCE)
    monkeypatch.setattr(apcv_soap, "PROBE", PATIENCE)
    monkeypatch.setattr(resolver, "LIMIT", PATIENCE)

    def look(desk: Desk, name: str, daemon: DaemonView | VitaleError = STOPPED) -> tuple[CheckResult, ...]:
        if desk.pcsc:
            request.getfixturevalue("pcsc_service")
        with prepared(desk, tmp_path) as (home, machine):
            began = time.perf_counter()
            found = examine(home, daemon, machine)
            took = time.perf_counter() - began
        with capsys.disabled():
            print(f"\n{name}: {took:.2f} s", end=" ")
        return found

    return look


@pytest.mark.parametrize("name", DESKS)
def test_the_right_finding_comes_first_with_the_right_remedy(name: str, look: Examine) -> None:
    desk = DESKS[name]
    rows = look(desk, name)
    assert rows[0].id == desk.first, [row.id for row in rows if row.state == "wrong"]
    for language in LANGUAGES:
        first = tell(rows[0], language)
        assert first.state == "wrong"
        assert (desk.fr if language == "fr" else desk.en) in first.remedy
        assert first.title
        assert first.cause
        assert desk.says in f"{first.title} {first.cause} {first.detail} {first.data}"
        assert "s3cret-canary" not in repr(rows)
    assert findings_output.status([tell(row, "en") for row in rows]) == desk.status


def test_a_check_that_never_ends_keeps_nobody_waiting() -> None:
    """As a folder on a disk of the network that is gone."""
    never = threading.Event()

    def blocked() -> tuple[CheckResult, ...]:
        never.wait(PATIENCE)
        return ()

    def done() -> tuple[CheckResult, ...]:
        return (CheckResult(id="disk_free", subject="folder", state="ok"),)

    rows = side_by_side([("folder", blocked), ("folder", done), ("clock", blocked)], 1.0)
    never.set()
    assert ["check_unfinished", "disk_free", "check_unfinished"] == [row.id for row in rows]
    told = {language: tell(rows[0], language) for language in LANGUAGES}
    assert ("Contrôle non terminé\N{NO-BREAK SPACE}: dossiers", "Check not finished: folders") == (
        told["fr"].title,
        told["en"].title,
    )
    assert all("1 s" in one.cause and one.remedy for one in told.values())


def test_a_fault_of_a_check_is_not_hidden() -> None:
    def faulty() -> tuple[CheckResult, ...]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        side_by_side([("folder", faulty)], PATIENCE)


def until_mute(reader: str) -> None:
    """Waits until PC/SC has powered the card in vain: before that it shows the reader as empty."""
    context, state, end = PcscLibrary().establish(), ReaderState(reader), time.monotonic() + PATIENCE
    try:
        while not state.mute:
            assert time.monotonic() < end
            (state,) = context.wait((state,), 1.0)
    finally:
        context.release()


def test_a_mute_card_is_told_with_its_reader(look: Examine, virtual_card: InsertCard) -> None:
    virtual_card(faults="mute")
    until_mute("Virtual PCD 00 00")
    settings = f'{OWN_DOOR}[drivers]\nenabled = ["pcsc"]\n'
    rows = look(Desk("medium_mute", "", "", settings), "a mute card")
    assert rows[0].id == "medium_mute"
    assert rows[0].values["name"] == "Virtual PCD 00 00"


def test_nothing_is_wrong_at_a_healthy_desk(look: Examine, pcsc_service: PcscService, tmp_path: Path) -> None:
    settings = '[station]\nmode = "simulated"\n[tls]\nport = 0\n[drivers]\nenabled = ["pcsc"]\n'
    serving = Home.under(tmp_path / "serving")

    async def main() -> DaemonView:
        async with running(serving, parse(settings)):
            return await asyncio.to_thread(view)

    def view() -> DaemonView:
        with Connection(Settings(home=serving, connect_timeout=PATIENCE, call_timeout=PATIENCE)) as daemon:
            for change in daemon.watch():
                if change.reader.state == "empty":
                    break
            readers = daemon.readers()  # waits for drivers that start
            return DaemonView(station=daemon.station(), readers=readers)

    seen = asyncio.run(main())
    rows = look(Desk("", "", "", settings), "a healthy desk", seen)
    assert [row.id for row in rows if row.state != "ok"] == []
    assert {"daemon_runs", "driver_ready", "reader_empty", "pcsc_answers"} <= {row.id for row in rows}


def test_what_is_there_is_told_at_a_desk_with_everything(look: Examine) -> None:
    """An imager, the apCV service, browsers of which one may be told another program, settings that all may read."""

    @contextmanager
    def everything(prepared: Prepared) -> Generator[None]:
        with ApcvService(load_scenario()) as service, Imager() as imager:
            settings = SERVICE.format(url=service.url) + options("scanner", f'devices = ["{imager.path}"]')
            (prepared.home / "config.toml").write_text(settings)
            (prepared.home / "config.toml").chmod(0o644)
            system = System(platform="linux", root=prepared.root, environ=os.environ)
            for place in places(system, everyone=True):
                told = manifest(place.browser.family, own_command(), Config().web.extension.ids)
                prepared.write(str(place.file.relative_to(prepared.root)), told).parent.chmod(0o755)
                place.file.chmod(0o666 if place.browser.name == "firefox" else 0o644)
            yield

    rows = look(Desk("", "", "", prepare=everything), "a desk with everything")
    found = {row.id: row for row in rows}
    expected = {
        "browser_told": "ok",
        "browser_open": "wrong",
        "configuration_readable": "note",
        "resolver_reached": "ok",
        "reader_there": "ok",
    }
    assert expected == {name: found[name].state for name in expected}
    for language in LANGUAGES:
        for name, state in expected.items():
            shown = tell(found[name], language)
            assert shown.title
            assert bool(shown.remedy) == (state != "ok")


def test_a_desk_without_a_configuration_says_so(look: Examine) -> None:
    rows = look(Desk("", "", "", prepare=unconfigured, pcsc=True), "no configuration")
    (row,) = (row for row in rows if row.id == "configuration_default")
    assert row.state == "ok"
    assert len({tell(row, language).title for language in LANGUAGES}) == len(LANGUAGES)


@contextmanager
def unconfigured(prepared: Prepared) -> Generator[None]:
    (prepared.home / "config.toml").unlink()
    yield


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("desk", ["the disk is full", "nothing is plugged in"])
def test_what_is_well_is_told_too(desk: str, language: str, look: Examine) -> None:
    rows = look(DESKS[desk], desk)
    told = [tell(row, "fr" if language == "fr" else "en") for row in rows if row.state == "ok"]
    assert len(told) > 3
    assert all(one.title and not one.remedy and "{" not in one.title for one in told)
