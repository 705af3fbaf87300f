"""The log in a file: private, bounded, redacted, and never the reason of a trouble."""

import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon import app, log_output
from vitale_reader.daemon.keystore.private_files import open_to_others
from vitale_reader.daemon.log_output import FILE, log_files, to_file
from vitale_reader.home import Home


@pytest.fixture
def logger(tmp_path: Path) -> Iterator[logging.Logger]:
    """The root's file in a folder of the test, taken away afterwards."""
    root, before = logging.getLogger(), list(logging.getLogger().handlers)
    to_file(tmp_path / "state")
    yield logging.getLogger("test")
    for handler in [one for one in root.handlers if one not in before]:
        root.removeHandler(handler)
        handler.close()


def handler_of(folder: Path) -> log_output.PrivateFile:
    """The handler of a folder; daemons that other tests run in this process have theirs."""
    (found,) = (
        one
        for one in logging.getLogger().handlers
        if isinstance(one, log_output.PrivateFile) and Path(one.baseFilename).is_relative_to(folder)
    )
    return found


def test_the_file_is_private_and_redacted(logger: logging.Logger, tmp_path: Path) -> None:
    logger.error("before there is a folder")
    (tmp_path / "state").mkdir()
    logger.error("nir 2 69 05 49 588 157 80")
    file = tmp_path / "state" / FILE
    lines = [line.split(" ", 1)[1] for line in file.read_text("utf-8").splitlines()]
    assert [line for line in lines if " test: " in line] == ["ERROR   test: nir [nir]"]
    assert not open_to_others(file)
    assert log_files(tmp_path / "state") == (file,)


@pytest.mark.posix
def test_the_null_device_is_no_standard_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, has in ((os.devnull, False), (str(tmp_path / "file"), True)):
        # As a parent hands it down: only the descriptor knows where it leads.
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT), "w", encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "stderr", stream)
            assert has == log_output.has_stderr()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert log_output.has_stderr()
    monkeypatch.setattr(sys, "stderr", None)
    assert not log_output.has_stderr()


def test_the_files_are_bounded(logger: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").mkdir()
    handler = handler_of(tmp_path)
    monkeypatch.setattr(handler, "maxBytes", 1_000)
    for number in range(200):
        logger.error("line %d", number)
    files = log_files(tmp_path / "state")
    assert [file.name for file in files] == [f"{FILE}.2", f"{FILE}.1", FILE]
    assert all(file.stat().st_size <= 1_000 for file in files)
    assert "line 199" in files[-1].read_text("utf-8")


def test_a_file_that_cannot_be_written_is_no_trouble(
    logger: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state" / FILE).mkdir(parents=True)
    logger.error("secret %s", "canary")
    assert "canary" not in capsys.readouterr().err


def test_a_file_that_another_program_holds_open_is_written_on(
    logger: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "in use by another process")

    (tmp_path / "state").mkdir()
    handler = handler_of(tmp_path)
    monkeypatch.setattr(handler, "maxBytes", 200)
    monkeypatch.setattr("os.rename", refused)
    for number in range(20):
        logger.error("line %d", number)
    assert (tmp_path / "state" / FILE).read_text("utf-8").count("line ") == 20


def test_what_ends_a_daemon_without_streams_is_in_its_log(
    logger: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home.under(tmp_path)
    for has_stderr in (True, False):
        monkeypatch.setattr(log_output, "has_stderr", lambda has=has_stderr: has)
        app.tell_unseen(home, StoreUnavailable("the disk is gone"))
    assert 1 == len([line for line in caplog.messages if line.startswith("ended: store_unavailable: ")])
