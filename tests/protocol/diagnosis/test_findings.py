"""Findings: words for each that the code makes, in both languages, and the order in which they are told."""

import re
import shlex
from typing import get_args

import pytest

from vitale_protocol import catalogue
from vitale_protocol.catalogue import LANGUAGES, Language
from vitale_protocol.diagnosis.check_results import SUBJECTS, CheckResult, Subject, in_order, of_error
from vitale_protocol.diagnosis.findings import tell
from vitale_protocol.errors import ReaderBusy
from vitale_protocol.problems import Problem

NAMES = re.compile(r"\{(\w+)(?::shell)?\}")
PATH_IN_A_COMMAND = re.compile(r"`[^`]*\{(?:place|file|path)\}[^`]*`")


@pytest.mark.parametrize("name", sorted(catalogue.findings()))
def test_both_languages_name_the_same_and_a_cause_has_its_remedy(name: str) -> None:
    french, english = (catalogue.finding(name, language) for language in LANGUAGES)
    for part in ("title", "cause", "remedy"):
        assert set(NAMES.findall(getattr(french, part))) == set(NAMES.findall(getattr(english, part)))
    assert bool(french.cause) == bool(french.remedy)
    assert [entry.remedy for entry in (french, english) if PATH_IN_A_COMMAND.search(entry.remedy)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_path_in_a_command_is_one_word_for_a_shell(language: Language) -> None:
    values = {"place": "/srv/Poste d'été", "owner": "root", "user": "paul"}
    told = tell(CheckResult(id="folder_refused", subject="folder", state="wrong", values=values), language)
    assert told.title.endswith("/srv/Poste d'été")
    (written,) = re.findall("`(sudo [^`]*)`", told.remedy)
    assert shlex.split(written)[-2:] == ["paul", "/srv/Poste d'été"]


def test_every_subject_has_its_place() -> None:
    assert set(SUBJECTS) == set(get_args(Subject))


def test_what_is_wrong_comes_first_and_causes_before_their_consequences() -> None:
    rows = [
        CheckResult(id="clock", subject="clock", state="ok"),
        CheckResult(id="clock_alone", subject="clock", state="note"),
        CheckResult(id="daemon", subject="daemon", state="wrong"),
        CheckResult(id="usb_galss", subject="usb", state="wrong"),
    ]
    assert [row.id for row in in_order(rows)] == ["usb_galss", "daemon", "clock_alone", "clock"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_error_is_told_in_the_words_of_the_catalogue(language: Language) -> None:
    error = ReaderBusy("busy", variant="scanner", data={"holder": "galss"})
    finding = tell(of_error(error, "reader", {"name": "x"}), language)
    entry = catalogue.text("reader_busy", language, "scanner")
    assert (finding.title, finding.cause, finding.remedy) == (entry.title, entry.cause, entry.remedy)
    assert (finding.id, finding.detail, finding.data) == (
        "reader_busy.scanner",
        "busy",
        {"holder": "galss", "name": "x"},
    )
    assert tell(of_error(Problem.of(error), "reader", {"name": "x"}), language) == finding


def test_what_is_as_it_should_be_needs_no_cause() -> None:
    told = tell(CheckResult(id="port_free", subject="port", state="ok", values={"port": 7816}), "en")
    assert (told.title, told.cause, told.remedy) == ("Port 7816 is free", "", "")


@pytest.mark.parametrize("medium", ["vitale-card", "cps-card", "unknown-card"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_card_is_named_as_people_do(medium: str, language: Language) -> None:
    values = dict.fromkeys(("atr", "generation", "protocols", "historical"), "x")
    row = CheckResult(
        id="card_atr", subject="card", state="ok", values={**values, "medium": medium, "convention": "direct"}
    )
    told = tell(row, language).title
    assert (medium in told, "convention directe" in told) == (False, language == "fr")


@pytest.mark.parametrize(
    ("uptime", "french", "english"),
    [
        (5, "lancé il y a 5 s", "started 5 s ago"),
        (119, "lancé il y a 119 s", "started 119 s ago"),
        (120, "lancé il y a 2 min", "started 2 min ago"),
        (7_200, "lancé il y a 2 h", "started 2 h ago"),
        (10 * 86_400, "lancé il y a 10 j", "started 10 d ago"),
    ],
)
def test_modes_and_times_are_told_as_people_say_them(uptime: int, french: str, english: str) -> None:
    row = CheckResult(
        id="daemon_runs",
        subject="daemon",
        state="ok",
        values={"version": "1", "mode": "simulated", "uptime": uptime},
    )
    assert tell(row, "fr").title == f"Service 1, mode simulé, {french}"
    assert tell(row, "en").title == f"Daemon 1, mode simulated, {english}"
    assert tell(row, "fr").data == row.values


def test_a_finding_that_nobody_knows_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        tell(CheckResult(id="weather", subject="port", state="ok"), "en")
