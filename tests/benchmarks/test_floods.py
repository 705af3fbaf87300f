"""``floods``: each kind floods, and each figure stands in its line beside its baseline."""

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.benchmarks import floods
from tests.benchmarks.flood import KINDS
from tests.posix import posix_only

pytestmark = posix_only()
assert sys.platform != "win32"


@pytest.mark.timeout(600)
def test_every_flood_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floods, "BACKLOG", 50)
    monkeypatch.setattr(floods, "FLOODING", 0.05)
    said: list[str] = []
    found = floods.lines(3, said.append)
    assert len(said) == len(KINDS) + 1
    assert len(found) == 3 * (len(KINDS) + 1)
    for ping, read, memory in zip(found[::3], found[1::3], found[2::3], strict=True):
        for line in (ping, read):
            assert line.baseline_p95 is not None
            assert 0 < line.baseline_p95
            assert line.p95 is not None
            assert 0 < line.p95
            assert line.promise
        assert memory.unit == "MiB"


@pytest.mark.parametrize("program", ["raise SystemExit(1)", "print('ready', flush=True)"], ids=["at once", "too soon"])
def test_a_flood_that_ends_is_no_flood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str) -> None:
    file, begun = tmp_path / "flood.py", list[subprocess.Popen[bytes]]()
    file.write_text(program)
    monkeypatch.setattr(floods, "FLOOD", file)

    class Flood(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **options: Any) -> None:
            super().__init__(command, **options)
            begun.append(self)

    def until_it_has_ended(_: float) -> None:
        begun[-1].wait(100)

    monkeypatch.setattr(subprocess, "Popen", Flood)
    monkeypatch.setattr(floods, "time", SimpleNamespace(sleep=until_it_has_ended, perf_counter=time.perf_counter))
    with pytest.raises(ChildProcessError):
        floods.lines(1, lambda _: None, ["pings"])
