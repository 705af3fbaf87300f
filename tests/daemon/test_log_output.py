"""The log in a file: closed to others, put aside when it is long, and never in the way of what is logged."""

import logging
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon import log_output
from vitale_reader.daemon.keystore.private_files import open_to_others


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Generator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], root.level = handlers, level


def test_the_log_is_in_the_state_folder_and_closed_to_others(tmp_path: Path) -> None:
    log_output.start("info", "desk.log", tmp_path)
    logging.getLogger("vitale_reader.daemon.app").info("serving")
    line = (tmp_path / "desk.log").read_text("utf-8")
    assert line.endswith("Z INFO    vitale_reader.daemon.app: serving\n")
    assert not open_to_others(tmp_path / "desk.log")


def test_what_is_too_long_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_output, "MOST_BYTES", 500)
    log_output.start("info", "desk.log", tmp_path)
    for number in range(100):
        logging.getLogger("test").info("line %d", number)
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["desk.log", "desk.log.1", "desk.log.2", "desk.log.3", "desk.log.4"]
    assert all(file.stat().st_size <= 500 and not open_to_others(file) for file in tmp_path.iterdir())
    assert "line 99" in (tmp_path / "desk.log").read_text("utf-8")


def test_a_file_that_another_program_holds_open_is_written_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "in use by another process")

    monkeypatch.setattr(log_output, "MOST_BYTES", 200)
    log_output.start("info", "desk.log", tmp_path)
    monkeypatch.setattr("os.rename", refused)
    for number in range(20):
        logging.getLogger("test").info("line %d", number)
    assert (tmp_path / "desk.log").read_text("utf-8").count("line ") == 20


def test_without_standard_error_there_is_a_file_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    log_output.start("info", None, tmp_path)
    logging.getLogger("test").warning("somebody should know")
    assert "somebody should know" in (tmp_path / "daemon.log").read_text("utf-8")


def test_a_file_that_cannot_be_is_told_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid) as refused:
        log_output.start("info", str(tmp_path / "nowhere" / "desk.log"), tmp_path)
    assert refused.value.data["path"] == "log.file"
