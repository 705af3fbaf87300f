"""Who else may read or change the settings, and how they are encoded."""

from pathlib import Path

import pytest

from tests.no_files import NO_FILES, put_no_file
from tests.posix import AS_ROOT, NOBODY, give_to
from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon import config_file
from vitale_reader.daemon.config import Config, load

pytestmark = pytest.mark.posix  # modes say nothing on Windows

PLAIN = '[station]\nname = "Cabinet de la Forêt"\n'
SECRET = '[apcv.options]\npin = "1234"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(0o700)
    return folder / "config.toml"


def written(file: Path, text: str, mode: int) -> Path:
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def refused(file: Path) -> str:
    with pytest.raises(ConfigurationInvalid) as told:
        load(file)
    assert str(file) == told.value.data["file"]
    return told.value.variant


@pytest.mark.parametrize("text", [PLAIN, SECRET])
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o664])
def test_a_file_that_others_may_change_is_refused(file: Path, text: str, mode: int) -> None:
    assert "writable_by_others" == refused(written(file, text, mode))


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o707])
def test_a_file_that_others_may_replace_is_refused(file: Path, mode: int) -> None:
    file.parent.chmod(mode)
    assert "writable_by_others" == refused(written(file, PLAIN, 0o600))


def test_a_folder_such_as_tmp_lets_nobody_replace_it(file: Path) -> None:
    file.parent.chmod(0o1777)
    assert "Cabinet de la Forêt" == load(written(file, PLAIN, 0o600)).station.name


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_secrets_that_others_may_read_are_refused(file: Path, mode: int) -> None:
    assert "secrets_readable" == refused(written(file, SECRET, mode))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o644])
def test_what_is_no_secret_may_be_read(file: Path, mode: int) -> None:
    assert "Cabinet de la Forêt" == load(written(file, PLAIN, mode)).station.name
    assert config_file.read(file)[1].readable == bool(mode & 0o044)


@AS_ROOT
def test_a_file_of_another_user_is_refused(file: Path) -> None:
    give_to(NOBODY, written(file, PLAIN, 0o600))
    assert "writable_by_others" == refused(file)


def test_a_link_is_as_open_as_what_it_leads_to(file: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o777)
    elsewhere.chmod(0o777)
    file.symlink_to(written(elsewhere / "config.toml", PLAIN, 0o600))
    assert "writable_by_others" == refused(file)


def test_the_refusal_says_what_to_type(file: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=f"chmod 600 {written(file, SECRET, 0o644)}"):
        load(file)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf_8_with_or_without_a_byte_order_mark(file: Path, encoding: str) -> None:
    file.write_bytes(PLAIN.encode(encoding))
    assert "Cabinet de la Forêt" == load(file).station.name


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "cp1252"])
def test_any_other_encoding_is_told(file: Path, encoding: str) -> None:
    file.write_bytes(PLAIN.encode(encoding))
    assert "encoding" == refused(file)


def test_nothing_of_a_file_in_another_encoding_is_repeated(file: Path) -> None:
    file.write_bytes(f"[apcv.options]\npin = '1234é'\n{'x' * 2_000}".encode("cp1252"))
    with pytest.raises(ConfigurationInvalid) as told:
        load(file)
    assert "line 2" in told.value.detail
    assert told.value.__cause__ is None
    assert "1234" not in repr(told.value) + str(told.value.data)


def test_a_file_that_is_no_file_of_settings_is_not_read_whole(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(config_file.MOST_BYTES + 1)
    with pytest.raises(ConfigurationInvalid, match="too large"):
        load(file)


@pytest.mark.posix
@pytest.mark.parametrize("what", NO_FILES)
def test_what_is_no_file_is_told_and_never_waited_for(file: Path, what: str) -> None:
    put_no_file(file, what)
    assert "unreadable" == refused(file)


def test_no_file_is_no_fault(file: Path) -> None:
    assert Config() == load(file)
