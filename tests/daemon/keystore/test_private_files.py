"""Private files: whole, 0600, and on the disk where they must survive."""

import os
import stat
import sys
from pathlib import Path

import pytest

from tests.posix import AS_ROOT, NOBODY, give_to
from vitale_protocol.errors import StoreUnavailable
from vitale_reader.atomic_files import write_atomically
from vitale_reader.daemon.keystore.private_files import open_to_others, private_folder
from vitale_reader.daemon.lifecycle import published
from vitale_reader.home import Endpoints, Home


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The descriptors of which the disk was told."""
    descriptors = list[int]()
    monkeypatch.setattr(os, "fsync", descriptors.append)
    return descriptors


@pytest.mark.posix
def test_what_is_kept_is_on_the_disk_when_the_call_returns(tmp_path: Path, synced: list[int]) -> None:
    write_atomically(tmp_path / "file", b"kept")

    assert 2 == len(synced), "the file and its folder"
    assert b"kept" == (tmp_path / "file").read_bytes()


def test_addresses_are_whole_and_private_and_no_disk_is_waited_for(tmp_path: Path, synced: list[int]) -> None:
    home = Home.under(tmp_path)
    home.run.mkdir(parents=True)
    endpoints = Endpoints(pid=1, version="0")

    with published(home, endpoints):
        assert endpoints == home.endpoints()
        assert not open_to_others(home.endpoints_file)

    assert [] == synced


# ── hands of others in the folder ──


def refusal(folder: Path) -> tuple[str, str]:
    with pytest.raises(StoreUnavailable) as told:
        private_folder(folder)
    return told.value.variant, str(told.value.data["file"])


@pytest.mark.posix
def test_a_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(0o777)
    folder.chmod(0o777)
    assert 0o700 == stat.S_IMODE(private_folder(folder).stat().st_mode)


@AS_ROOT
@pytest.mark.parametrize("what", ["", "tls", "tls/authority.key"])
def test_what_another_user_owns_is_refused(tmp_path: Path, what: str) -> None:
    folder = private_folder(tmp_path / "state")
    (folder / "tls").mkdir()
    (folder / "tls" / "authority.key").touch()
    give_to(NOBODY, folder / what)
    assert ("foreign_folder", str(folder / what)) == refusal(folder)


@pytest.mark.posix("links take a privilege on Windows")
@pytest.mark.parametrize("what", ["store.db", "station.json", "tls", "tls/authority.key"])
@pytest.mark.parametrize("target", ["elsewhere", "absent"])
def test_a_symbolic_link_in_it_is_refused(tmp_path: Path, what: str, target: str) -> None:
    folder = private_folder(tmp_path / "state")
    (tmp_path / "elsewhere").mkdir()
    (folder / what).parent.mkdir(exist_ok=True)
    (folder / what).symlink_to(tmp_path / target)
    assert ("foreign_folder", str(folder / what)) == refusal(folder)
    assert [] == [*(tmp_path / "elsewhere").iterdir()]


@pytest.mark.posix("Windows has no such pipes in a folder")
@pytest.mark.parametrize("what", ["station.json", "tls/daemon.key"])
def test_a_pipe_in_it_is_refused_and_not_read(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "state"
    (folder / what).parent.mkdir(parents=True)
    if sys.platform != "win32":
        os.mkfifo(folder / what)
    assert ("foreign_folder", str(folder / what)) == refusal(folder)


@AS_ROOT
def test_a_link_to_the_folder_is_refused_for_root(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "elsewhere")
    assert ("foreign_folder", str(tmp_path / "state")) == refusal(tmp_path / "state")


@AS_ROOT
def test_a_folder_in_one_of_another_user_is_refused_for_root(tmp_path: Path) -> None:
    theirs = tmp_path / "home"
    theirs.mkdir()
    give_to(NOBODY, theirs)
    assert ("foreign_folder", str(theirs)) == refusal(theirs / "vitale-reader" / "state")


@AS_ROOT
def test_a_folder_in_one_that_all_may_write_to_is_refused_for_root(tmp_path: Path) -> None:
    open_to_all = tmp_path / "shared"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert ("foreign_folder", str(open_to_all)) == refusal(open_to_all / "state")
    open_to_all.chmod(0o1777)
    assert (open_to_all / "state").is_dir()
    private_folder(open_to_all / "state")
