"""Broken desks, measured: each in its line, and one that is looked at for too long breaks the promise."""

import sys

import pytest

from tests.benchmarks.broken_desks import LIMIT, Look, line, lines
from tests.diagnosis import desks


@pytest.mark.parametrize(("wall", "kept"), [(LIMIT - 0.1, True), (LIMIT, False)])
def test_a_desk_stands_in_its_line_with_both_times(wall: float, kept: bool) -> None:
    found = line("the disk is full", Look(wall, 0.25))
    assert ("the disk is full", wall, 0.25, kept) == (found.ours, found.p50, found.baseline_p50, found.kept)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the desks have files of Linux")
def test_each_desk_is_looked_at_by_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    some = {name: desks.DESKS[name] for name in ("the disk is full",)}
    monkeypatch.setattr(desks, "DESKS", some)
    said: list[str] = []
    found = lines(said.append)
    assert [*some] == [one.ours for one in found]
    assert [f"{name}…" for name in some] == said
    assert all(one.p50 > 0 and one.baseline_p50 for one in found)
