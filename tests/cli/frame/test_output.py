"""What commands print, to a person and to a pipe, in both languages."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

from vitale_protocol.errors import (
    CardError,
    InvalidParams,
    LimitExceeded,
    MediumRemoved,
    NotAuthorised,
    ReaderBusy,
    VitaleError,
)
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.language import language, use


@pytest.fixture(autouse=True)
def in_english() -> Any:
    before = language()
    use("en")
    yield
    use(before)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody looks at the output."""

    def interactive(_stream: object = None) -> bool:
        return True

    monkeypatch.setattr(output, "interactive", interactive)
    monkeypatch.setenv("COLUMNS", "60")


def test_a_pipe_gets_columns_without_a_head(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("id", "name"), [("r-1", "a\tname"), ("r-2", "")], title="Readers", empty="none")
    output.table(("id",), [], empty="none")
    output.lines([("state", "empty")])
    assert capsys.readouterr().out == "r-1\ta name\nr-2\t\nstate\tempty\n"


@pytest.mark.usefixtures("person")
def test_a_person_gets_a_table_and_whole_ids(capsys: pytest.CaptureFixture[str]) -> None:
    long = "pcsc:" + "0123456789" * 8
    output.table(("id", "name"), [(long, "[bold]a name")], title="Readers")
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].strip() == "Readers"
    assert "[bold]a name" in shown, "what a device calls itself is no markup"
    digits = "".join(letter for letter in shown if letter.isdigit())
    assert digits == "0123456789" * 8


@pytest.mark.usefixtures("person")
def test_a_person_is_told_that_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("id",), [], empty="No reader.")
    output.lines([("state", "empty"), ("reader", "[red]x")])
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "No reader."
    assert [line.split() for line in shown[1:]] == [["state", "empty"], ["reader", "[red]x"]]


@pytest.mark.usefixtures("person")
def test_a_narrow_terminal_gets_records(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    output.table(("reader", "state", "driver", "id"), [("A slot", "card present", "pcsc", "pcsc:a-reader-of-a-desk")])
    output.lines([("A name of some length", "a-value-of-some-length")])
    shown = capsys.readouterr().out
    assert shown.splitlines() == [
        "A slot",
        "  state: card present",
        "  driver: pcsc",
        "  id: pcsc:a-reader-of-a-desk",
        "A name of some length:",
        "  a-value-of-some-length",
    ]


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize("width", [40, 80])
def test_an_error_is_wrapped_between_words(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    output.report(MediumRemoved("detail"), as_json=False)
    told = capsys.readouterr().err
    assert max(map(len, told.splitlines())) <= width
    words = MediumRemoved().words("en")
    assert told.split() == f"{words.title} {words.cause} detail → {words.remedy}".split()


@pytest.mark.usefixtures("person")
def test_without_colours_a_terminal_gets_text_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> str:
        output.table(("id", "name"), [("r-1", "a name")], title="Readers")
        output.lines([("state", "empty")])
        return capsys.readouterr().out

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown()


def test_a_wait_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("Present a card.") as change:
        change("Reading.")
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "Present a card.\nReading.\n")


@pytest.mark.usefixtures("person")
def test_a_person_sees_what_is_waited_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with output.progress("Present a card.") as change:
        change("Reading.")
    told = capsys.readouterr()
    assert told.out == ""
    assert "Reading." in told.err


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (MediumRemoved(), []),
        (LimitExceeded("too many", data={"limit": "clients"}), ["  too many"]),
        (InvalidParams(data={"path": "$.timeout_ms"}), ["  Parameter: $.timeout_ms"]),
        (CardError("refused", data={"sw": "6A82", "index": 1}), ["  refused", "  Status word: 6A82"]),
        (ReaderBusy(data={"holder": "another\nprogram"}), ["  Held by: another\\u000aprogram"]),
    ],
    ids=["without a detail", "with one", "a parameter", "a status word", "a holder"],
)
def test_an_error_is_told_with_its_cause_and_its_remedy(
    error: VitaleError, detail: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    output.report(error, as_json=False)
    out, err = capsys.readouterr()
    output.report(error, as_json=True, pretty=False)
    as_json = json.loads(capsys.readouterr().out)["error"]
    assert out == ""
    title, cause, *rest = err.splitlines()
    assert title == as_json["message"]
    assert cause == f"  {as_json['cause']}"
    assert rest[-1] == f"  → {as_json['remedy']}"
    assert rest[:-1] == detail
    assert as_json["reason"] == error.reason
    assert as_json["code"] == error.code
    assert as_json["retryable"] is error.retryable


def test_what_the_daemon_has_told_is_not_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    error = NotAuthorised("no scope", data={"message": "Refusé", "cause": "", "remedy": ""})
    output.report(error, as_json=False)
    assert capsys.readouterr().err == "Refusé\n  no scope\n"


@pytest.mark.parametrize(("chosen", "said"), [("fr", "Erreur"), ("en", "Error")])
def test_an_error_of_a_newer_daemon_is_named(chosen: Any, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    use(chosen)

    class Newer(VitaleError):
        reason = "newer_reason"

    class Nameless(VitaleError):
        reason = ""

    output.report(Newer("of tomorrow"), as_json=False)
    output.report(Nameless(""), as_json=False)
    assert capsys.readouterr().err == f"newer_reason\n  of tomorrow\n{said}\n"


def test_a_warning_is_told_in_words_or_by_its_name() -> None:
    use("fr")
    assert output.warning_text("nir_missing") == "NIR absent"
    assert output.warning_text("newer_warning") == "newer_warning"


def test_a_broken_pipe_is_left_to_the_frame() -> None:
    with pytest.raises(BrokenPipeError):
        output.console().on_broken_pipe()


def test_what_is_still_buffered_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    source, sink = os.pipe()
    with os.fdopen(source, "rb") as reading, os.fdopen(sink, "w") as writing:
        monkeypatch.setattr(sys, "stdout", writing)
        writing.write("rest")
        output.discard_output()
        writing.flush()
        writing.close()
        assert reading.read() == b""


@pytest.mark.parametrize(("pretty", "expected"), [(True, '{\n  "a": 1\n}\n'), (False, '{"a":1}\n')])
def test_a_json_document(pretty: bool, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed: Callable[..., None] = output.print_json
    printed({"a": 1}, pretty=pretty)
    assert capsys.readouterr().out == expected
