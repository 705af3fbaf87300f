"""``web``: refusals, floods and pings of the port for pages stand in their lines, each beside its baseline."""

import sys

import pytest

from tests.benchmarks import web
from tests.daemon.web.browsers import Browser
from tests.posix import posix_only

pytestmark = [posix_only(), pytest.mark.timeout(600)]
assert sys.platform != "win32"


def test_the_port_for_pages_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_kind: type[Browser]) -> bool:
        return False  # browsers are measured by hand, and tried elsewhere

    monkeypatch.setattr(web, "is_installed", nobody)
    monkeypatch.setattr(web, "FLOODING", 0.05)
    said: list[str] = []
    kinds = ("fragments",)
    found = web.lines(3, 0.05, said.append, kinds)
    assert len(said) == 4 + len(kinds)
    names = [line.name for line in found]
    assert 8 == sum(name.startswith("refusal, ") for name in names)
    ways = [*["session.ping"] * 2, "start → open channel", *["card → token"] * 2]
    assert [*ways, "ping, fragments", "memory, fragments", "memory of the core"] == names[8:]
    for line in found:
        assert line.p50 > 0
        assert line.promise or line.name == "start → open channel"
