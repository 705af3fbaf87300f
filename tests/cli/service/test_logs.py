"""``logs``: which records are shown, from where, and how."""

import json
import os
import sys
import time
import unicodedata
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from tests.cli.service.desk import Desk
from vitale_reader.cli.frame import language, output
from vitale_reader.service.machine import run


def line(level: str, text: str, ago: float = 0) -> str:
    when = datetime.fromtimestamp(time.time() - ago, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{when}.000Z {level:<7} vitale_reader.daemon.app: {text}\n"


@pytest.fixture
def filed(desk: Desk) -> Desk:
    desk.home.state.mkdir(parents=True)
    (desk.home.state / "daemon.log.1").write_text(line("INFO", "old", 90_000), "utf-8")
    (desk.home.state / "daemon.log").write_text(
        line("DEBUG", "first", 60) + line("WARNING", "second \x1b[2J", 50) + line("ERROR", "third", 40), "utf-8"
    )
    return desk


def texts(desk: Desk, *arguments: str) -> list[str]:
    return [record["text"] for record in desk.json(*arguments, command="logs")["records"]]


def test_the_records_of_the_file(filed: Desk) -> None:
    assert ["old", "first", "second \x1b[2J", "third"] == texts(filed)
    assert ["first", "second \x1b[2J", "third"] == texts(filed, "--since", "2h")
    assert ["third"] == texts(filed, "--level", "error")
    assert ["third"] == texts(filed, "-n", "1")
    shown = filed.run("--level", "warning", command="logs").stdout.splitlines()
    assert [["warning", "app", "second \\u001b[2J"], ["error", "app", "third"]] == [
        each.split("\t")[1:] for each in shown
    ]


def test_a_time_that_is_none_is_refused(filed: Desk) -> None:
    refused = filed.run("--since", "soon", command="logs")
    assert (2, True) == (refused.exit_code, "neither a time ago" in refused.stderr)


def test_nothing_was_logged(desk: Desk) -> None:
    shown = desk.run(command="logs")
    assert (1, "", "Nothing in the log.\n") == (shown.exit_code, shown.stdout, shown.stderr)
    assert [] == texts(desk)


def test_the_journal_of_the_service_tells_what_the_file_does_not(filed: Desk) -> None:
    filed.systemd.journal = json.dumps(
        {"__REALTIME_TIMESTAMP": "1", "MESSAGE": "Failed to start", "PRIORITY": "3", "SYSLOG_IDENTIFIER": "systemd"}
    )
    assert "third" in texts(filed)  # there is no service
    filed.run("install")
    assert ["Failed to start"] == texts(filed)
    filed.run("stop")
    assert ["Failed to start"] == texts(filed)
    filed.publish(99)  # a daemon that was started by hand
    assert "third" in texts(filed)


@pytest.mark.posix("links take a privilege on Windows")
def test_of_a_journal_of_years_the_end_is_read_unless_records_are_left_out(
    filed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answer = filed.systemd.answer

    def hear(words: list[str]) -> str | None:
        if words[0] == "journalctl" and words[-1] != "--lines=1":
            asked.append(words[-1].partition("=")[0])
        return answer(words)

    filed.systemd.journal = json.dumps({"__REALTIME_TIMESTAMP": "1", "MESSAGE": "Started"})
    filed.run("install")
    monkeypatch.setattr(filed.systemd, "answer", hear)
    for options in ((), ("-n", "3"), ("-n", "3", "--level", "error"), ("--since", "2h")):
        texts(filed, *options)
    assert ["--lines", "--lines", "--since", "--since"] == asked


def test_a_journal_that_this_user_may_not_read_is_no_journal(filed: Desk) -> None:
    filed.run("install")
    filed.systemd.refused = "journalctl"
    assert "third" in texts(filed)


def test_records_that_come_are_shown(filed: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(_: float) -> None:
        file = filed.home.state / "daemon.log"
        if "fourth" in file.read_text("utf-8"):
            raise KeyboardInterrupt
        with file.open("a", encoding="utf-8") as stream:
            stream.write(line("INFO", "fourth"))

    monkeypatch.setattr(time, "sleep", wait)
    shown = filed.run("--follow", "-n", "1", "--json", command="logs")
    assert ["third", "fourth"] == [json.loads(each)["text"] for each in shown.stdout.splitlines()]


#: A journal that is played: a line that comes while somebody reads what is there, as on a busy machine it may.
JOURNALCTL = """\
#!{python}
import json
import sys
from pathlib import Path
words, file = sys.argv[1:], Path({file!r})
entries = file.read_text().splitlines()
if "--follow" in words:
    after = [word.partition("=")[2] for word in words if word.startswith("--after-cursor=")]
    begin = int(after[0]) if after else 0 if "--no-tail" in words else len(entries)
    print("\\n".join(entries[begin:]))
else:
    lines = [int(word.partition("=")[2]) for word in words if word.startswith("--lines=")]
    since = any(word.startswith("--since=") for word in words)
    if entries:  # with --since, --lines are the first ones from then on
        print("\\n".join(entries if not lines else entries[:lines[0]] if since else entries[-lines[0]:]))
    number = len(entries) + 1
    with file.open("a") as stream:
        when = str(10**15 + number)
        print(json.dumps(dict(__REALTIME_TIMESTAMP=when, MESSAGE=str(number), __CURSOR=str(number))), file=stream)
"""


@pytest.mark.posix("modes of files")
@pytest.mark.skipif(os.name == "nt", reason="a program of a script has a first line")
@pytest.mark.parametrize(
    ("options", "shown"),
    [((), 6), (("-n", "1"), 1), (("-n", "2"), 2), (("-n", "2", "--level", "info"), 2), (("--since", "2000-01-01"), 6)],
)
def test_the_last_entries_of_the_journal_and_those_that_come_are_told_without_a_gap(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], shown: int
) -> None:
    entries, program = tmp_path / "entries", tmp_path / "bin/journalctl"
    program.parent.mkdir()
    program.write_text(JOURNALCTL.format(python=sys.executable, file=str(entries)), "utf-8")
    program.chmod(0o755)
    lines = (f'{{"__REALTIME_TIMESTAMP": "{10**15}", "MESSAGE": "{n}", "__CURSOR": "{n}"}}\n' for n in range(1, 6))
    entries.write_text("".join(lines), "utf-8")
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    desk.run("install")
    answer = desk.systemd.answer

    def really(words: list[str]) -> str | None:
        return run(words).stdout if words[0] == "journalctl" else answer(words)

    monkeypatch.setattr(desk.systemd, "answer", really)
    told = desk.run("--follow", "--json", *options, command="logs").stdout.splitlines()
    # Of the seven the sixth came with the question whether there are any, the seventh while the others were read.
    assert [str(number) for number in range(7 - shown, 8)] == [json.loads(each)["text"] for each in told]


@pytest.mark.parametrize("french", [False, True])
def test_what_a_terminal_would_obey_is_shown_as_text(
    filed: Desk, monkeypatch: pytest.MonkeyPatch, french: bool
) -> None:
    hostile = "\x1b]0;title\x07 \x9b31m \r over \x08 \u202e \udcff"
    filed.systemd.journal = json.dumps(
        {"__REALTIME_TIMESTAMP": "1000", "MESSAGE": hostile, "SYSLOG_IDENTIFIER": "\x1b[2J", "PRIORITY": "3"}
    )
    filed.run("install")
    monkeypatch.setenv("NO_COLOR", "1")
    language.use("fr" if french else "en")
    for stands_at_a_terminal in (False, True):
        monkeypatch.setattr(output, "interactive", partial(bool, stands_at_a_terminal))
        shown = filed.run(command="logs")
        assert 0 == shown.exit_code
        assert set() == {sign for sign in shown.stdout if unicodedata.category(sign) in {"Cc", "Cf"}} - {"\t", "\n"}
