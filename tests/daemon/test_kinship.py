"""Kinship: who came of the daemon, by session, by group and by the chain of parents."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.posix import posix_only
from vitale_reader.daemon import process_ancestry
from vitale_reader.daemon.process_ancestry import MOST_PARENTS, Kinship

pytestmark = posix_only()
assert sys.platform != "win32"

FIRST_PROCESS, STRANGER, WORKER = 1, 1_000_000, 2_000_000


@pytest.fixture
def child() -> Iterator[int]:
    """A process of this one's, in its group, that lives until the test is over."""
    process = subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE)
    yield process.pid
    process.communicate()


def kinship(*workers: int, adopts: bool = False) -> Kinship:
    return Kinship(lambda: workers, adopts=adopts)


def test_the_daemon_itself_and_a_process_that_cannot_be_named_are_nobodys() -> None:
    assert [kinship(os.getpid()).started_here(pid) for pid in (os.getpid(), 0)] == [False, False]


@pytest.mark.parametrize("adopts", [False, True])
def test_a_child_is_the_daemons_where_the_daemon_has_no_other_children(child: int, adopts: bool) -> None:
    assert kinship(adopts=adopts).started_here(child) is adopts


def test_a_worker_is_told_by_its_number_and_what_is_in_its_group_by_that(child: int) -> None:
    assert kinship(child).started_here(child)
    assert kinship(os.getpgid(child)).started_here(child)
    assert not kinship(WORKER).started_here(child)


def test_a_process_that_is_gone_could_have_been_a_workers() -> None:
    process = subprocess.Popen((sys.executable, "-c", ""))
    process.communicate()
    assert kinship(WORKER).started_here(process.pid)


def test_the_process_of_another_session_that_may_not_be_asked_is_a_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pid: int) -> int:
        raise PermissionError(pid)

    monkeypatch.setattr(os, "getsid", refused)
    assert not kinship(WORKER).started_here(STRANGER)


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """Parents as the test has them; each process leads a session of its own."""

    def leaders(pid: int) -> tuple[int, ...]:
        return (pid,)

    parents: dict[int, int] = {}
    monkeypatch.setattr(process_ancestry, "_leaders", leaders)
    monkeypatch.setattr(process_ancestry, "_parent", parents.__getitem__)
    return parents


def test_what_a_workers_child_starts_is_the_workers(chain: dict[int, int]) -> None:
    chain.update({STRANGER: STRANGER - 1, STRANGER - 1: STRANGER - 2, STRANGER - 2: WORKER})
    assert kinship(WORKER).started_here(STRANGER)


@pytest.mark.parametrize("last", [FIRST_PROCESS, 0])
def test_a_chain_that_ends_at_the_first_process_is_a_strangers(chain: dict[int, int], last: int) -> None:
    chain.update({STRANGER: STRANGER - 1, STRANGER - 1: last})
    assert not kinship(WORKER).started_here(STRANGER)


def test_whoever_has_more_parents_than_are_looked_at_is_taken_for_the_daemons(chain: dict[int, int]) -> None:
    chain.update({STRANGER - up: STRANGER - up - 1 for up in range(MOST_PARENTS + 1)})
    assert kinship(WORKER).started_here(STRANGER)
