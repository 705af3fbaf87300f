"""``pages``: each way beside the Unix socket; a promise that is broken is told."""

import pytest

from tests.benchmarks.pages import lines, ping_lines


def test_each_way_stands_beside_the_unix_socket() -> None:
    found = ping_lines({"unix": [0.001], "websocket": [0.0015], "stdio": [0.0045]})
    assert [("websocket", 1.0, 1.5, True), ("stdio", 1.0, 4.5, False)] == [
        (line.ours, line.baseline_p50, line.p50, line.kept) for line in found
    ]


@pytest.mark.slow
@pytest.mark.posix
def test_every_way_is_measured() -> None:
    said: list[str] = []
    assert ["websocket", "stdio", "native-host"] == [line.ours for line in lines(5, said.append)]
    assert 1 == len(said)
