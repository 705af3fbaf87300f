"""Files for Prometheus and Grafana: each name is one that a desk shows, each alert fires by what it is about."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.metrics.shown import everything, suffixed
from vitale_reader.metrics.exposition import exposition

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "vitale_reader" / "metrics"
RULES = FOLDER / "prometheus-rules.yml"
CASES = Path(__file__).with_name("prometheus-rules.test.yml")
HOW_TO = (ROOT / "docs" / "how-to" / "monitor-a-site.md").read_text("utf-8")
NAME = re.compile(r"\b(?:vitale_reader|process)_[a-z_]+\b")
LABELS = re.compile(r"\b(?:by|on|group_left) \(([a-z, ]+)\)|[{,] ?([a-z]+)(?:=~|!=|!~|=)\"")

#: Labels that Prometheus adds by itself, or that a histogram has.
ADDED = {"job", "instance", "le"}

PROMTOOL = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (prometheus)")


def read_yaml(file: Path) -> dict[str, Any]:
    reader: Any = YAML(typ="safe")
    return dict(reader.load(file.read_text("utf-8")))


def rules() -> list[dict[str, Any]]:
    (group,) = read_yaml(RULES)["groups"]
    return list(group["rules"])


def dashboard() -> dict[str, Any]:
    return dict(json.loads((FOLDER / "grafana-dashboard.json").read_text("utf-8")))


def queries() -> list[str]:
    """All that is asked of Prometheus, by alerts and by the dashboard."""
    asked = [str(target["expr"]) for panel in dashboard()["panels"] for target in panel["targets"]]
    return [*asked, *(str(rule["expr"]) for rule in rules())]


def promtool(*arguments: str | Path, given: bytes | None = None) -> str:
    done = subprocess.run(("promtool", *arguments), input=given, capture_output=True, check=False)
    assert 0 == done.returncode, done.stdout.decode() + done.stderr.decode()
    return (done.stdout + done.stderr).decode()


def test_each_figure_that_is_asked_for_is_shown_and_each_that_is_shown_is_asked_for() -> None:
    shown = suffixed(everything())
    asked = {name for query in queries() for name in NAME.findall(query)}
    assert set() == asked - shown
    unused = {name for name in shown - asked if not name.endswith(("_sum", "_count", "_bucket"))}
    assert set() == unused


def test_each_label_that_is_asked_for_is_one() -> None:
    labels = {label for family in everything() for label in family.labels} | ADDED
    asked = {
        label for query in queries() for pair in LABELS.findall(query) for label in ",".join(pair).split(",") if label
    }
    assert set() == {label.strip() for label in asked} - labels


def test_each_alert_has_its_words_in_both_languages_and_a_case() -> None:
    wanted = {"summary", "remedy", "summary_en", "remedy_en"}
    assert {} == {rule["alert"]: rule for rule in rules() if wanted != rule["annotations"].keys()}
    assert {"critical", "warning"} == {rule["labels"]["severity"] for rule in rules()}
    alerts = [rule["alert"] for rule in rules()]
    assert len(alerts) == len(set(alerts))
    cases = read_yaml(CASES)["tests"]
    fired = {test["alertname"] for case in cases for test in case["alert_rule_test"] if test.get("exp_alerts")}
    silent = {test["alertname"] for case in cases for test in case["alert_rule_test"] if not test.get("exp_alerts")}
    assert set(alerts) == fired == silent


def test_the_page_has_each_alert_and_each_figure() -> None:
    assert [rule["alert"] for rule in rules()] == re.findall(r"^\| `(VitaleReader\w+)` \|", HOW_TO, re.MULTILINE)
    names = {family.name + ("_total" if family.kind == "counter" else "") for family in everything()}
    assert names == set(re.findall(r"^\| `((?:vitale_reader|process)_\w+)` \|", HOW_TO, re.MULTILINE))


def test_the_dashboard_has_panels_that_do_not_overlap() -> None:
    taken = set[tuple[int, int]]()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])


@PROMTOOL
def test_prometheus_own_linter_finds_nothing() -> None:
    assert "" == promtool("check", "metrics", given=exposition(everything()))
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


@PROMTOOL
def test_each_alert_fires_by_its_case_and_is_silent_without() -> None:
    assert "SUCCESS" in promtool("test", "rules", CASES)
