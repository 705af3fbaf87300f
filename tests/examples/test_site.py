"""The desks of the example of a site are configured so that they could start."""

import re
import textwrap
from pathlib import Path

from vitale_reader.daemon.config import parse

COMPOSE = Path(__file__).resolve().parents[2] / "examples" / "site" / "compose.yaml"


def test_the_settings_of_a_desk_hold() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    block = re.search(r"^ +content: \|\n((?: {6}.*\n)+)", text, flags=re.MULTILINE)
    assert block is not None
    config = parse(textwrap.dedent(block[1]))
    assert config.store == "postgresql://desk@database/vitale"
    assert (config.site.when_away, config.station.mode) == ("degraded", "simulated")


def test_no_password_stands_in_it() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    assert "POSTGRES_PASSWORD:" not in text
    assert re.findall(r"postgresql://[^@\s]*:[^@\s]*@", text) == []
