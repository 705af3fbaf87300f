"""A desk with a systemd that is played."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.service.desk import Desk
from vitale_reader.cli.frame import language
from vitale_reader.home import Home
from vitale_reader.service import machine


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Desk]:
    made = Desk(tmp_path)
    monkeypatch.setattr(machine, "Machine", lambda: made.machine)

    def located(_environ: object = None) -> Home:
        return made.home

    monkeypatch.setattr(Home, "locate", located)
    monkeypatch.delenv("VITALE_READER_HOME", raising=False)
    former = language.language()
    language.use("en")
    yield made
    language.use(former)
