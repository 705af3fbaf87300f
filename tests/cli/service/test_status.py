"""``status``: what is told of a desk where something is wrong."""

import importlib
from collections.abc import Callable

import click
import pytest
from sqlalchemy import Connection, create_engine, insert, text

from vitale_protocol.diagnosis.findings import Finding
from vitale_protocol.events import Reader
from vitale_protocol.methods import Station, StationInfo
from vitale_reader.cli.frame import language
from vitale_reader.cli.service.status import Glance, Outcome, in_a_line, on_a_screen
from vitale_reader.daemon.store.tables import audit

status = importlib.import_module("vitale_reader.cli.service.status")

STATION = StationInfo(
    station=Station(id="s", name="Comptoir", version="1.2.3", mode="production"), media=(), drivers=(), uptime=7_300.0
)
READERS = tuple(
    Reader(id=f"pcsc:{name}", name=name, driver="pcsc", media=("vitale-card",), state="empty")
    for name in ("One", "Two")
)
WRONG = Finding(id="disk_full", subject="folder", state="wrong", title="The disk is full", remedy="Make room.")
GLANCE = Glance(
    station=STATION,
    readers=READERS,
    clients=1,
    last=Outcome(at=0.0, outcome="medium_removed"),
    attention=(WRONG,),
)


@pytest.fixture(autouse=True)
def _english() -> None:
    language.use("en")


def test_what_is_wrong_stands_in_the_line() -> None:
    line = in_a_line(GLANCE)
    assert "1.2.3 · mode production · for 2 h · 2 readers · 1 client · last: " in line
    assert click.unstyle(line).endswith(" · The disk is full")


def test_what_is_wrong_stands_on_the_screen_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    on_a_screen(GLANCE)
    told = capsys.readouterr().out
    assert ["Readers\tOne: empty", "\tTwo: empty"] == [line for line in told.splitlines() if line.endswith(": empty")]
    assert "Make room." in told
    assert "vitale-reader doctor" in told


def test_a_desk_where_nothing_happened_yet(capsys: pytest.CaptureFixture[str]) -> None:
    on_a_screen(Glance(station=STATION, readers=(), clients=0, last=None, attention=()))
    told = capsys.readouterr().out.splitlines()
    assert {"Readers\tnone", "Clients\t0 paired", "Last presentation\tnone", "Nothing to correct."} <= set(told)


def test_a_store_that_does_not_tell_is_no_desk_where_nothing_happened(capsys: pytest.CaptureFixture[str]) -> None:
    on_a_screen(Glance(station=STATION, readers=(), clients=0, last=None, last_known=False, attention=(WRONG,)))
    assert "Last presentation" not in capsys.readouterr().out


@pytest.mark.parametrize("at", ["9e999", "-9e999", "1e18", "-1.0", "'soon'", "x'30'"])
def test_a_row_whose_time_is_none_is_not_told_as_the_last_presentation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], at: str
) -> None:
    damaged = f"UPDATE audit SET at = {at} WHERE outcome = 'card_mute'"  # noqa: S608  no input
    last, known = last_of(monkeypatch, damaged)
    assert (Outcome(at=0.0, outcome="ok", medium="vitale-card"), True) == (last, known)
    on_a_screen(Glance(station=STATION, readers=(), clients=0, last=last, attention=()))
    assert "read" in capsys.readouterr().out


@pytest.mark.parametrize("column", ["outcome", "medium", "reader"])
def test_a_damaged_row_is_no_presentation_that_is_told(monkeypatch: pytest.MonkeyPatch, column: str) -> None:
    damaged = f"UPDATE audit SET {column} = x'ff' WHERE outcome = 'card_mute'"  # noqa: S608  no input
    assert (None, False) == last_of(monkeypatch, damaged)


def last_of(monkeypatch: pytest.MonkeyPatch, statement: str) -> tuple[Outcome | None, bool]:
    """The last presentation of a store with two, in which a hand did something."""
    row = {"action": "presentation.request", "station": "s", "medium": "vitale-card"}

    def beside(_: object, work: Callable[[object], Callable[[Connection], object]]) -> object:
        return work(None)(connection)

    engine = create_engine("sqlite://")
    monkeypatch.setattr(status, "beside", beside)
    with engine.begin() as connection:
        audit.create(connection)
        for at, outcome in ((0.0, "ok"), (1.0, "card_mute")):
            connection.execute(insert(audit), row | {"at": at, "outcome": outcome})
        connection.execute(text(statement))
        found: tuple[Outcome | None, bool] = status._last(None, "s")
    engine.dispose()
    return found
