"""``stores``: the database of a site beside the file of a station, and lists that tell who is on them."""

import sys

import pytest

from tests.benchmarks import stores


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the load is read from /proc")
def test_everything_is_measured(monkeypatch: pytest.MonkeyPatch, site_database: str) -> None:
    monkeypatch.setattr(stores, "ENTRIES", 1_000)
    monkeypatch.setattr(stores, "LOOKUPS", 200)
    monkeypatch.setattr(stores, "SETTLING", 0.0)
    found = stores.lines(site_database, 10, 1, lambda _: None)
    assert [line.unit for line in found] == ["ms", "%", "MiB", "ms", "ms", "ms", "µs", "µs", "s", "s"]
    for line in found:
        assert str(line.baseline).startswith(("SQLite", "one round trip"))
        assert line.baseline_p50 is not None
        assert 0 <= line.baseline_p50
        assert 0 <= line.p50


def test_half_of_the_serials_that_are_asked_for_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a look-up would be measured that always, or never, ends in the same way."""
    monkeypatch.setattr(stores, "ENTRIES", 1_000)
    monkeypatch.setattr(stores, "LOOKUPS", 200)
    listed, asked = stores.serials()
    assert len({*listed}) == 1_000
    assert len({*listed} & {*asked}) == len(asked) // 2 == 100
