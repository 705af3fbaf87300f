"""Private files: whole, 0600, and on the disk where they must survive."""

import os
import stat
from pathlib import Path

import pytest

from vitale_reader.daemon.keystore.files import write_private
from vitale_reader.daemon.lifecycle import published
from vitale_reader.home import Endpoints, Home


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The descriptors of which the disk was told."""
    descriptors = list[int]()
    monkeypatch.setattr(os, "fsync", descriptors.append)
    return descriptors


def test_what_is_kept_is_on_the_disk_when_the_call_returns(tmp_path: Path, synced: list[int]) -> None:
    write_private(tmp_path / "file", b"kept")

    assert 2 == len(synced), "the file and its folder"
    assert b"kept" == (tmp_path / "file").read_bytes()


def test_addresses_are_whole_and_private_and_no_disk_is_waited_for(tmp_path: Path, synced: list[int]) -> None:
    home = Home.under(tmp_path)
    home.run.mkdir(parents=True)
    endpoints = Endpoints(pid=1, version="0")

    with published(home, endpoints):
        assert endpoints == home.endpoints()
        assert 0o600 == stat.S_IMODE(home.endpoints_file.stat().st_mode)

    assert [] == synced
