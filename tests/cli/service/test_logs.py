"""``logs``: which records are shown, from where, and how."""

import json
import time
from datetime import UTC, datetime

import pytest

from tests.cli.service.desk import Desk


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


def test_of_a_journal_of_years_the_end_is_read_unless_records_are_left_out(
    filed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    answer = filed.systemd.answer

    def hear(words: list[str]) -> str | None:
        if words[-1].startswith("--since="):
            asked.append([word for word in words if word.startswith("--lines=")])
        return answer(words)

    filed.systemd.journal = json.dumps({"__REALTIME_TIMESTAMP": "1", "MESSAGE": "Started"})
    filed.run("install")
    monkeypatch.setattr(filed.systemd, "answer", hear)
    for options in ((), ("-n", "3"), ("-n", "3", "--level", "error"), ("--since", "2h")):
        texts(filed, *options)
    assert [["--lines=200"], ["--lines=3"], [], []] == asked


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
