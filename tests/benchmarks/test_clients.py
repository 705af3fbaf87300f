"""``clients``: each figure in its line, beside its baseline."""

import sys

import pytest

from tests.benchmarks import clients
from vitale_protocol.errors import ToolMissing


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the load is read from /proc")
def test_everything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "CROWDS", (1, 3))
    monkeypatch.setattr(clients, "SESSIONS", 5)
    monkeypatch.setattr(clients, "SETTLING", 0.0)
    said: list[str] = []
    try:
        found = clients.lines(20, 1, said.append)
    except ToolMissing as missing:
        pytest.skip(f"{missing.detail}")
    assert len(said) == 3
    crowds, waiting, leased = found[:4], found[4:8], found[8:]
    for line in (*crowds, *leased):
        assert line.baseline
        assert line.baseline_p50 is not None
        assert 0 < line.baseline_p50
        assert 0 < line.p50
    assert [line.unit for line in waiting] == ["KiB", "%", "ms", "ms"]
    assert len(leased) == 1
