"""Text at a terminal of any width: nothing that is copied is cut, no table is broken in the middle of a word."""

import io
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_reader.cli.frame.fitting import colour, fits, longest_words, paragraph, records, terminal_width

ID = "pcsc:" + "0123456789" * 6
CELLS = st.text(st.sampled_from("ab \N{NO-BREAK SPACE}-/"), max_size=30)


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, None),
        ({"NO_COLOR": ""}, None),  # no-color.org: set and not empty
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm-256color"}, None),
    ],
)
def test_whether_colours_are_wanted(
    environment: dict[str, str], wanted: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert colour() is wanted


@pytest.mark.parametrize(("columns", "width"), [("40", 40), ("", 80), ("0", 80), ("-1", 80), ("wide", 80)])
def test_the_width_of_what_is_no_terminal(columns: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert terminal_width(io.StringIO()) == width


if sys.platform != "win32":

    @pytest.mark.posix
    def test_the_width_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
        import fcntl
        import struct
        import termios

        monkeypatch.delenv("COLUMNS", raising=False)
        person, program = os.openpty()
        with os.fdopen(person, "rb", buffering=0), os.fdopen(program, "wb", buffering=0) as stream:
            fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
            assert terminal_width(stream) == 40


def test_a_paragraph_keeps_what_is_copied_whole() -> None:
    text = f"Branchez {ID} ou /run/pcscd/pcscd-comm-\nà l’autre poste"
    assert paragraph(text, 20, "  ", "    ").split("\n") == [
        "  Branchez",
        f"    {ID}",
        "    ou",
        "    /run/pcscd/pcscd-comm-",
        "  à l’autre poste",
    ]


def test_french_signs_stay_with_their_word() -> None:
    assert paragraph("Port\N{NO-BREAK SPACE}: 7816", 6) == "Port\N{NO-BREAK SPACE}:\n7816"


def test_a_table_fits_as_long_as_no_word_is_broken() -> None:
    rows = [("Image", "Description"), ("adulte", "une adulte seule")]
    assert longest_words(rows) == [6, 11]
    assert not fits(rows, 23)
    assert fits(rows, 24)
    assert fits([("Image",)], 9)


def test_a_row_of_a_table_that_does_not_fit_is_a_record() -> None:
    told = records(("Lecteur", "État", "Identifiant"), [("Lecteur simulé", "vide", ID)], 24, colon=" : ")
    assert list(told) == ["Lecteur simulé", "  État : vide", f"  Identifiant :\n    {ID}"]


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4), st.integers(10, 40))
def test_no_record_loses_a_word(rows: list[tuple[str, str]], width: int) -> None:
    told = " ".join(records(("Name", "Value"), rows, width, colon=": ")).split()
    assert [word for word in told if word != "Value:"] == [
        word for row in rows for cell in row for word in cell.split()
    ]
