"""``serve``: what it does around the daemon."""

import gc
from pathlib import Path

import pytest
from click.testing import CliRunner

from vitale_protocol.errors import DaemonRunning
from vitale_reader.cli.serve import serve
from vitale_reader.daemon import app
from vitale_reader.daemon.config import Config
from vitale_reader.home import Endpoints, Home


class Run:
    """Stands for ``app.run``: notes whether rubbish is collected, before it is ready and from then on."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.collected: list[bool] = []

    def __call__(self, home: Home, config: Config, *, on_ready: object) -> None:
        self.collected.append(gc.isenabled())
        if self.error is not None:
            raise self.error
        assert callable(on_ready)
        on_ready(Endpoints(pid=1, version="0"))
        self.collected.append(gc.isenabled())


def test_nothing_is_collected_until_the_daemon_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run()
    monkeypatch.setattr(app, "run", run)
    try:
        result = CliRunner().invoke(serve, ["--home", str(tmp_path)])
    finally:
        gc.unfreeze()

    assert (0, [False, True]) == (result.exit_code, run.collected)


def test_a_start_that_fails_leaves_the_collector_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(DaemonRunning("another one"))
    monkeypatch.setattr(app, "run", run)
    CliRunner().invoke(serve, ["--home", str(tmp_path)])

    assert [False] == run.collected
    assert gc.isenabled()
