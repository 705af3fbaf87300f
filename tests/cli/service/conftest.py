"""A desk with a systemd that is played."""

from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from tests.cli.service.desk import Desk
from vitale_reader.cli.frame import language
from vitale_reader.daemon import config_check
from vitale_reader.home import Home
from vitale_reader.service import machine


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Desk]:
    made = Desk(tmp_path)
    monkeypatch.setattr(machine, "Machine", lambda: made.machine)

    def nothing_refused(options: Mapping[str, object], _limit: float) -> list[None]:
        return [None] * len(options)

    # Each driver would check its options in a process of its own.
    monkeypatch.setattr(config_check, "check_options", nothing_refused)

    def located(_environ: object = None) -> Home:
        return made.home

    monkeypatch.setattr(Home, "locate", located)
    monkeypatch.delenv("VITALE_READER_HOME", raising=False)
    former = language.language()
    language.use("en")
    yield made
    language.use(former)
