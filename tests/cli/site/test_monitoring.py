"""``vitale-reader site monitoring``: the files come out as they were shipped, and nothing else does."""

import json
from pathlib import Path

from click.testing import CliRunner

import vitale_reader
from vitale_reader.cli.root import root

FOLDER = Path(vitale_reader.__file__).parent / "metrics"


def test_the_rules_and_the_dashboard_come_out_as_they_were_shipped() -> None:
    for what, file in (("rules", "prometheus-rules.yml"), ("dashboard", "grafana-dashboard.json")):
        done = CliRunner().invoke(root, ["site", "monitoring", what])
        assert (0, (FOLDER / file).read_text("utf-8")) == (done.exit_code, done.stdout)


def test_what_there_is_not_is_a_mistake_in_both_languages() -> None:
    for language, said in (
        ("fr", "n’est pas parmi 'rules'"),
        ("en", "is not one of 'rules'"),
    ):
        done = CliRunner().invoke(root, ["--language", language, "site", "monitoring", "grafana"])
        assert 2 == done.exit_code
        assert said in done.stderr
    assert "panels" in json.loads((FOLDER / "grafana-dashboard.json").read_text("utf-8"))
